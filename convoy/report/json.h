// JSON documents to print.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace convoy::report {

/// A JSON value. Objects keep the order in which their members were set.
///
///   Json document = Json::object({{"schema", "convoy.check/1"}, {"passed", 840}});
///   document.set("ops", Json::array());
class Json {
 public:
  using Member = std::pair<std::string, Json>;

  Json() = default;  // null
  template <std::same_as<bool> B>
  Json(B value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  template <std::integral I>
  requires(!std::same_as<I, bool>) Json(I value) : value_(static_cast<int64_t>(value)) {}  // NOLINT(google-explicit-constructor)
  Json(double value) : value_(value) {}                       // NOLINT(google-explicit-constructor): not finite prints as null
  Json(const char* text) : value_(std::string(text)) {}       // NOLINT(google-explicit-constructor)
  Json(std::string text) : value_(std::move(text)) {}         // NOLINT(google-explicit-constructor)
  Json(std::string_view text) : value_(std::string(text)) {}  // NOLINT(google-explicit-constructor)

  static Json object(std::vector<Member> members = {});
  static Json array(std::vector<Json> elements = {});
  template <class T>
  static Json array_of(const std::vector<T>& values) {
    return array(std::vector<Json>(values.begin(), values.end()));
  }

  /// Sets a member of an object, replacing one of that name.
  Json& set(std::string name, Json value);
  /// Adds an element to an array.
  Json& push(Json value);

  /// The text: indented by two spaces per level, arrays of plain values on one line; one line in all if `compact`. Bytes that are
  /// not UTF-8 become U+FFFD.
  std::string text(bool compact = false) const;

 private:
  using Members = std::vector<Member>;
  using Elements = std::vector<Json>;
  bool is_container() const { return value_.index() >= 5; }
  void write(std::string& out, bool compact, int level) const;
  std::variant<std::monostate, bool, int64_t, double, std::string, Elements, Members> value_;
};

}  // namespace convoy::report
