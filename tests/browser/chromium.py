"""Which Chromium the tests use the page in: the one without windows, where it is, of the same build as the whole one.

Opening a page of their own costs a test 0.08 s of a processor there; with a window around it, 0.7 s.
"""

import shutil
from typing import Final

WITHOUT_WINDOWS: Final = "chromium-headless-shell"
WHOLE: Final = "chromium"
CHROMIUM: Final = WHOLE if shutil.which(WHOLE) and not shutil.which(WITHOUT_WINDOWS) else WITHOUT_WINDOWS
