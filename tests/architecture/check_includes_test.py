"""tools/check_includes.py must find every kind of offence: each case plants one into a small tree that is otherwise clean."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_includes.py"

TABLE = """# Architecture

## Who may include whom (down only)

| folder | may include | other libraries |
|---|---|---|
| shape | | |
| core | shape | |
| kernels | core, shape | Highway |
| report | core | nlohmann |
| cli | report, core, kernels/machine.h | CLI11 |

## Something else

| folder | may include | other libraries |
|---|---|---|
| core | cli | |
"""

CLEAN = {
    "convoy/convoy.h": '#pragma once\n#include "convoy/core/tensor.h"\n',
    "convoy/shape/axis.h": "#pragma once\n#include <cstdint>\n",
    "convoy/core/tensor.h": '#pragma once\n#include "convoy/shape/axis.h"\n',
    "convoy/core/tensor.cc": '#include "convoy/core/tensor.h"\n#include <sched.h>\n#include <sys/wait.h>\n',
    "convoy/core/tensor_test.cc": '#include <gtest/gtest.h>\n#include "tests/temporary_folder.h"\n',
    "convoy/kernels/machine.h": "#pragma once\n",
    "convoy/kernels/conv.h": "#pragma once\n",
    "convoy/kernels/conv.cc": '#define HWY_TARGET_INCLUDE "convoy/kernels/conv.cc"\n#include "hwy/foreach_target.h"\n',
    "convoy/kernels/sum-inl.h": '#include "hwy/highway.h"\n',
    "convoy/report/json.cc": "#include <nlohmann/json.hpp>\n",
    "cli/command.h": "#pragma once\n#include <CLI/CLI.hpp>\n",
    "cli/main.cc": '#include "cli/command.h"\n#include "convoy/kernels/machine.h"\n',
}

# file, its text, and words of the complaint
OFFENCES = [
    ("convoy/shape/up.cc", '#include "convoy/core/tensor.h"\n', "convoy/shape/up.cc:1: shape may not include core"),
    ("convoy/core/up.cc", '\n  #  include <convoy/kernels/conv.h>\n', "convoy/core/up.cc:2: core may not include kernels"),
    ("convoy/core/up_test.cc", '#include "convoy/report/json.h"\n', "core may not include report"),
    ("cli/up.cc", '#include "convoy/kernels/conv.h"\n', "cli may not include kernels"),
    ("convoy/report/up.cc", '#include "cli/command.h"\n', "report may not include cli"),
    ("convoy/kernels/conv2.h", '#pragma once\n#include "hwy/highway.h"\n', "Highway in a header"),
    ("convoy/report/json.h", "#pragma once\n#include <nlohmann/json.hpp>\n", "nlohmann in a header"),
    ("convoy/core/simd.cc", "#include <hwy/highway.h>\n", "core may not use Highway"),
    ("convoy/core/threads.cc", "#include <omp.h>\n", "core may not use OpenMP"),
    ("convoy/kernels/avx.cc", "#include <immintrin.h>\n", "one instruction set only"),
    ("convoy/core/odd.cc", "#include <boost/any.hpp>\n", "<boost/any.hpp> belongs to no library"),
    ("convoy/core/gone.cc", '#include "convoy/core/gone.h"\n', "there is no convoy/core/gone.h"),
    ("convoy/core/source.cc", '#include "convoy/core/tensor.cc"\n', "is not a header"),
    ("convoy/report/private.cc", '#include "convoy/kernels/sum-inl.h"\n', "is private to kernels"),
    ("convoy/core/near.cc", '#include "tensor.h"\n', "with its path from the root"),
    ("convoy/core/play.cc", "#include <gtest/gtest.h>\n", "GoogleTest is for tests"),
    ("convoy/core/play2.cc", '#include "tests/temporary_folder.h"\n', "only tests may include"),
    ("convoy/core/twice.h", "#include <vector>\n", "has no #pragma once"),
    ("convoy/core/string_utils.cc", "", "says nothing about what is inside"),
    ("convoy/attic/new.cc", "", "the folder attic has no row"),
    ("convoy/convoy.h", '#pragma once\n#include "cli/command.h"\n', "may not include cli"),
]


class CheckIncludes(unittest.TestCase):
    def run_on(self, changed):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            for path, text in {"docs/architecture.md": TABLE, **CLEAN, **changed}.items():
                if text is not None:
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_text(text, encoding="utf-8")
            return subprocess.run([sys.executable, str(TOOL), name], capture_output=True, text=True, check=False)

    def test_a_clean_tree_passes(self):
        done = self.run_on({})
        self.assertEqual((done.returncode, done.stdout), (0, f"{len(CLEAN)} files keep the table of docs/architecture.md\n"))

    def test_every_offence_is_found(self):
        for path, text, complaint in OFFENCES:
            with self.subTest(path):
                done = self.run_on({path: text})
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(complaint, done.stdout)

    def test_the_table_itself_is_checked(self):
        for old, new, complaint in [
            ("| core | shape | |", "| core | shape, attic | |", "core may include attic, which has no row"),
            ("| shape | | |", "| shape | report | |", "goes in a ring"),
            ("| Highway |", "| Lowway |", "which this check does not know"),
            ("| report |", "| io |", "there is no folder convoy/io"),
            ("Who may include whom", "Who knows whom", "there is no table"),
        ]:
            with self.subTest(new):
                done = self.run_on({"docs/architecture.md": TABLE.replace(old, new, 1)})
                self.assertEqual(done.returncode, 1)
                self.assertIn(complaint, done.stdout)


if __name__ == "__main__":
    unittest.main()
