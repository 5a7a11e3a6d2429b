"""Batch inference over minutes or passages; the last line counts what was done and rejected.

python scripts/predict.py run=DIR input=PATH output=DIR [format=parquet|jsonl|csv] [engine=local|ray]
"""

from gikai.config import Predict, main


def run(config: Predict) -> None:
    if config.engine == "ray":
        from gikai.cluster import predict
    else:
        from gikai.predict import predict
    predict(config)


if __name__ == "__main__":
    main("predict", run)
