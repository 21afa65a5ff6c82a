"""The Glue script of job 1."""

from glue_jobs.entry import run
from glue_jobs.normalize import normalize

if __name__ == "__main__":
    run("normalize", normalize, announce=True)
