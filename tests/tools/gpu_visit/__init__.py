"""A visit to a machine with a GPU, prepared beforehand: what has to be tried there, as one command.

``python -m tests.tools.gpu_visit pack`` gathers data and wheels in ``.visit``, which git ignores and which travels with
the checkout; ``python -m tests.tools.gpu_visit out=FOLDER`` on the machine there unpacks them and makes the visit.
Every step is a process of its own with a limit of its own, and what it found is written before the next begins, so that
a machine that is taken away, or a step that hangs, loses that step alone. ``device=cpu tiny=true`` rehearses all of it.
"""

from pathlib import Path

TOP = Path(__file__).resolve().parents[3]  # the repository
LUGGAGE = TOP / ".visit"  # data/*.xz, wheels/*.whl
