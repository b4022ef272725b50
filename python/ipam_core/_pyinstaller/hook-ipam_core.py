"""PyInstaller's hook: names of the package load late, from modules that no import names.

The packages left out are found where a program imports them, with the extras that they need.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

LEFT_OUT = ("_pyinstaller", "agent", "cli", "endpoint", "k8s", "plots", "testing", "web")

hiddenimports = collect_submodules(
    "ipam_core", filter=lambda name: name.split(".")[1:2] not in [[each] for each in LEFT_OUT]
)
datas = collect_data_files("ipam_core", includes=["data/*", "data/schemas/*"])
