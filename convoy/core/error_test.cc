#include "convoy/core/error.h"

#include <gtest/gtest.h>

#include <string>

namespace convoy {
namespace {

TEST(Error, TheReasonComesFirstAndTheFixOnItsOwnLine) {
  const Error error("negative padding is not supported", "padding is -1: use 0 or more");
  EXPECT_STREQ(error.what(), "negative padding is not supported\npadding is -1: use 0 or more");
  EXPECT_EQ(error.reason(), "negative padding is not supported");
  EXPECT_EQ(error.fix(), "padding is -1: use 0 or more");
}

TEST(Error, WithoutAFixThereIsOneLine) {
  const Error error("stride should not be zero");
  EXPECT_STREQ(error.what(), "stride should not be zero");
  EXPECT_EQ(error.fix(), "");
}

template <class E>
bool is_an_error() {
  try {
    throw E("a", "b");
  } catch (const std::runtime_error& e) {
    const Error* error = dynamic_cast<const Error*>(&e);
    return error != nullptr && error->reason() == "a" && error->fix() == "b" && std::string(e.what()) == "a\nb";
  }
}

TEST(Error, EveryKindIsCaughtAsError) {
  EXPECT_TRUE(is_an_error<Error>());
  EXPECT_TRUE(is_an_error<ValueError>());
  EXPECT_TRUE(is_an_error<ShapeMismatch>());
  EXPECT_TRUE(is_an_error<FileError>());
}

}  // namespace
}  // namespace convoy
