"""The Glue script of job 2."""

from glue_jobs.aggregate import aggregate
from glue_jobs.entry import run

if __name__ == "__main__":
    run("aggregate", aggregate, announce=False)
