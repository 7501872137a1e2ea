// What a call that must be refused says.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "convoy/core/error.h"

namespace convoy::testing {

/// The reason of the Error that a call throws, "accepted" if it throws none. Every refusal says what would work.
template <class Call>
std::string reason(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_FALSE(error.fix().empty()) << error.reason();
    return error.reason();
  }
  return "accepted";
}

/// The whole message: the reason, and below it what would work.
template <class Call>
std::string message(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace convoy::testing
