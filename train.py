"""`python train.py model=cnn`: the same as the command `fulgurite train model=cnn`."""

import sys

from fulgurite.cli import train

if __name__ == "__main__":
    sys.exit(train())
