import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `import explain_nets`, which --import-mode=importlib leaves out
