#include "convoy/report/json.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <nlohmann/json.hpp>

namespace convoy::report {

namespace {

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Json Json::object(std::vector<Member> members) {
  Json json;
  json.value_ = std::move(members);
  return json;
}

Json Json::array(std::vector<Json> elements) {
  Json json;
  json.value_ = std::move(elements);
  return json;
}

Json& Json::set(std::string name, Json value) {
  assert(std::holds_alternative<Members>(value_));
  Members& members = std::get<Members>(value_);
  const auto found = std::find_if(members.begin(), members.end(), [&](const Member& member) { return member.first == name; });
  if (found != members.end()) {
    found->second = std::move(value);
  } else {
    members.emplace_back(std::move(name), std::move(value));
  }
  return *this;
}

Json& Json::push(Json value) {
  assert(std::holds_alternative<Elements>(value_));
  std::get<Elements>(value_).push_back(std::move(value));
  return *this;
}

std::string Json::text(bool compact) const {
  std::string out;
  write(out, compact, 0);
  return out;
}

void Json::write(std::string& out, bool compact, int level) const {
  const auto new_line = [&](int depth) {
    if (!compact) out.append("\n").append(static_cast<size_t>(depth) * 2, ' ');
  };
  if (const auto* boolean = std::get_if<bool>(&value_)) {
    out += *boolean ? "true" : "false";
  } else if (const auto* integer = std::get_if<int64_t>(&value_)) {
    out += std::to_string(*integer);
  } else if (const auto* number = std::get_if<double>(&value_)) {
    out += std::isfinite(*number) ? nlohmann::json(*number).dump() : "null";
  } else if (const auto* string = std::get_if<std::string>(&value_)) {
    out += quoted(*string);
  } else if (const auto* elements = std::get_if<Elements>(&value_)) {
    const bool in_line =
        compact || std::none_of(elements->begin(), elements->end(), [](const Json& e) { return e.is_container(); });
    out += '[';
    for (size_t i = 0; i < elements->size(); ++i) {
      if (i > 0) out += in_line && !compact ? ", " : ",";
      if (!in_line) new_line(level + 1);
      (*elements)[i].write(out, compact, level + 1);
    }
    if (!in_line) new_line(level);
    out += ']';
  } else if (const auto* members = std::get_if<Members>(&value_)) {
    out += '{';
    for (size_t i = 0; i < members->size(); ++i) {
      if (i > 0) out += ',';
      new_line(level + 1);
      out += quoted((*members)[i].first) + (compact ? ":" : ": ");
      (*members)[i].second.write(out, compact, level + 1);
    }
    if (!members->empty()) new_line(level);
    out += '}';
  } else {
    out += "null";
  }
}

}  // namespace convoy::report
