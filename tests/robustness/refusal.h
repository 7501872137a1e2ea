// How a refusal is expected: which class of error and which words.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/tensor.h"

namespace convoy::robustness {

/// What a call did: nothing, or refused with an error of the engine. Anything else that is thrown is a failure of the test.
struct Refusal {
  bool refused = false;
  bool value_error = false;
  std::string reason, fix;
};

template <class Call>
Refusal refusal(Call&& call) {
  try {
    (void)std::forward<Call>(call)();
  } catch (const ValueError& e) {
    return {true, true, e.reason(), e.fix()};
  } catch (const Error& e) {
    return {true, false, e.reason(), e.fix()};
  } catch (const std::exception& e) {
    ADD_FAILURE() << "not one of the engine's errors: " << e.what();
    return {true, false, e.what(), ""};
  }
  return {};
}

/// The call is refused and the reason contains `words` (empty: any reason).
#define EXPECT_REFUSED(call, words)                                                                       \
  do {                                                                                                    \
    const ::convoy::robustness::Refusal refusal_ = ::convoy::robustness::refusal([&] { return (call); }); \
    EXPECT_TRUE(refusal_.refused) << "accepted: " << #call;                                               \
    EXPECT_NE(refusal_.reason.find(words), std::string::npos) << #call << "\nsaid: " << refusal_.reason;  \
  } while (false)

inline Tensor zeros(Shape shape) { return Tensor::zeros(std::move(shape)); }
inline Tensor ones(Shape shape) { return Tensor::ones(std::move(shape)); }
inline Tensor indices(Shape shape, int64_t value = 0) {
  return Tensor::full(std::move(shape), static_cast<double>(value), DType::kInt64);
}

}  // namespace convoy::robustness
