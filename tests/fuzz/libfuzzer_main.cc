// The entry that libFuzzer calls.
#include "tests/fuzz/model_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  convoy::testing::load_and_run(bytes, size);
  return 0;
}
