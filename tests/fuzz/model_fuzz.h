// Bytes -> model -> run: what the fuzzers call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convoy::testing {

/// Loads the bytes as an ONNX model and runs it. Any convoy::Error is an answer; everything else comes out. 0: refused on loading,
/// 1: not run because it would take long, 2: refused on running, 3: ran.
int load_and_run(const uint8_t* bytes, size_t size);

}  // namespace convoy::testing
