#include "convoy/report/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace convoy::report {
namespace {

TEST(Json, PrintsInOrderAndReadsBack) {
  Json document = Json::object({{"schema", "convoy.check/1"}, {"passed", 840}, {"ratio", 0.1}, {"ok", true}, {"nothing", Json()}});
  document.set("sizes", Json::array_of(std::vector<int64_t>{1, 3, 224}));
  document.set("ops", Json::array().push(Json::object({{"op", "conv2d"}})));
  document.set("passed", 841);
  EXPECT_EQ(document.text(),
            "{\n  \"schema\": \"convoy.check/1\",\n  \"passed\": 841,\n  \"ratio\": 0.1,\n  \"ok\": true,\n  \"nothing\": null,\n"
            "  \"sizes\": [1, 3, 224],\n  \"ops\": [\n    {\n      \"op\": \"conv2d\"\n    }\n  ]\n}");
  EXPECT_EQ(nlohmann::json::parse(document.text()), nlohmann::json::parse(document.text(true)));
  EXPECT_EQ(Json::array_of(std::vector<double>{1, 2}).text(true), "[1.0,2.0]");
}

TEST(Json, EscapesTextAndSurvivesBadBytesAndNumbers) {
  EXPECT_EQ(Json("a\"b\\\n\x01").text(), "\"a\\\"b\\\\\\n\\u0001\"");
  EXPECT_EQ(Json("\xff").text(), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(Json(std::nan("")).text(), "null");
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).text(), "null");
  EXPECT_EQ(Json::object().text(), "{}");
  EXPECT_EQ(Json::array().text(), "[]");
}

}  // namespace
}  // namespace convoy::report
