// What the kernels run on, for reports.
#pragma once

namespace convoy::plan {

/// The instruction set that the kernels use: "AVX-512", "AVX2", "NEON", "WASM" or "scalar".
const char* simd_name();

}  // namespace convoy::plan
