"""What pictures of a run show; drawn with ``figures``, asked for by ``callbacks/pictures.py``."""
