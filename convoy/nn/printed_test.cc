#include "convoy/nn/printed.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "convoy/nn/layer_options.h"

namespace convoy::nn {
namespace {

TEST(Printed, NumbersAsPython) {
  EXPECT_EQ(python_text(0.1), "0.1");
  EXPECT_EQ(python_text(1.0), "1.0");
  EXPECT_EQ(python_text(-2.5), "-2.5");
  EXPECT_EQ(python_text(0.0), "0.0");
  EXPECT_EQ(python_text(-0.0), "-0.0");
  EXPECT_EQ(python_text(100.0), "100.0");
  EXPECT_EQ(python_text(1e-4), "0.0001");
  EXPECT_EQ(python_text(0.00012345), "0.00012345");
  EXPECT_EQ(python_text(1e-5), "1e-05");
  EXPECT_EQ(python_text(1.5e-7), "1.5e-07");
  EXPECT_EQ(python_text(1e15), "1000000000000000.0");
  EXPECT_EQ(python_text(123456789012345680.0), "1.2345678901234568e+17");
  EXPECT_EQ(python_text(1e16), "1e+16");
  EXPECT_EQ(python_text(1e22), "1e+22");
  EXPECT_EQ(python_text(1.7976931348623157e308), "1.7976931348623157e+308");
  EXPECT_EQ(python_text(5e-324), "5e-324");
  EXPECT_EQ(python_text(static_cast<double>(0.1F)), "0.10000000149011612");
  EXPECT_EQ(python_text(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(python_text(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(python_text(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(python_text(Number(1)), "1");
  EXPECT_EQ(python_text(Number(1.0)), "1.0");
  EXPECT_EQ(python_text(Number(INT64_MAX)), "9223372036854775807");
  EXPECT_EQ(python_text(std::optional<Number>()), "None");
}

TEST(Printed, ListsAsTheyWereGiven) {
  EXPECT_EQ(python_text(IntList(3)), "3");
  EXPECT_EQ(python_text(IntList{3}), "(3,)");
  EXPECT_EQ(python_text(IntList{3, 4}), "(3, 4)");
  EXPECT_EQ(python_tuple({}), "()");
  EXPECT_EQ(python_text(OutputSize(7)), "7");
  EXPECT_EQ(python_text(OutputSize(std::nullopt)), "None");
  EXPECT_EQ(python_text(OutputSize{1, std::nullopt}), "(1, None)");
  EXPECT_EQ(python_text(OutputSize{std::nullopt}), "(None,)");
}

}  // namespace
}  // namespace convoy::nn
