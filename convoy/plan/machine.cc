#include "convoy/plan/machine.h"

#include "convoy/kernels/machine.h"

namespace convoy::plan {

const char* simd_name() { return kernels::simd_name(); }

}  // namespace convoy::plan
