// Every row of the error table is refused in its words, and the table is complete: the headers are read and every argument they
// declare must have a row.
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/robustness/error_rows.h"

namespace convoy::robustness {
namespace {

const Rows& table() {
  static const Rows all = [] {
    Rows rows;
    for (const auto& part :
         {conv_rows(), pool_rows(), norm_rows(), elementwise_rows(), rearrange_rows(), loss_rows(), file_rows()}) {
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  }();
  return all;
}

TEST(ErrorTable, EveryWrongCallIsRefusedInTheseWords) {
  for (const Row& row : table()) {
    const Refusal said = refusal([&] {
      row.call();
      return 0;
    });
    EXPECT_TRUE(said.refused) << row.argument << ": accepted, expected \"" << row.words << '"';
    if (!said.refused) continue;
    EXPECT_NE(said.reason.find(row.words), std::string::npos)
        << row.argument << "\nsaid:     " << said.reason << "\nexpected: " << row.words;
    EXPECT_FALSE(said.reason.empty()) << row.argument;
    if (row.kind == Kind::kValue) {
      EXPECT_TRUE(said.value_error) << row.argument << ": not a ValueError: " << said.reason;
    }
  }
}

// What the headers declare: function -> its arguments, the fields of option structs in the place of the struct.
using Declared = std::map<std::string, std::set<std::string>>;

std::string without_comments(const std::string& text) { return std::regex_replace(text, std::regex("//[^\n]*"), ""); }

std::vector<std::string> split_arguments(const std::string& list) {
  std::vector<std::string> out{""};
  int depth = 0;
  for (const char c : list) {
    depth += (c == '<' || c == '{' || c == '(') - (c == '>' || c == '}' || c == ')');
    if (c == ',' && depth == 0) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

/// Types for which no value is wrong.
bool always_legal(const std::string& type, const std::string& name) {
  if (name == "norm_type" || name == "label_smoothing" || name == "beta") return false;
  for (const char* word : {"bool", "double", "Mode", "Reduction", "Activation", "Arithmetic", "PairLoss", "ConvNeeds", "Comparison",
                           "Logical", "Unary", "ReduceKind", "ScatterReduction", "DepthOrder", "DType"}) {
    if (type.find(word) != std::string::npos) return true;
  }
  return false;
}

Declared declared_functions() {
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> structs;  // name -> (type, field)
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(CONVOY_SOURCE_DIR) / "convoy" / "ops")) {
    const std::string file_name = entry.path().filename().string();
    if (entry.path().extension() != ".h" || file_name.ends_with("checks.h")) continue;  // checks are called by the functions below
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    all += without_comments(text.str());
  }
  const std::regex structure(R"(struct (\w+Options) \{([^}]*(?:\{[^}]*\}[^}]*)*)\};)"), field(R"(([\w:<>]+) (\w+)(?: = [^;]*)?;)");
  for (std::sregex_iterator it(all.begin(), all.end(), structure), end; it != end; ++it) {
    const std::string body = (*it)[2];
    for (std::sregex_iterator f(body.begin(), body.end(), field); f != end; ++f) structs[(*it)[1]].emplace_back((*f)[1], (*f)[2]);
  }
  Declared functions;
  const std::regex function(
      R"(\n(?:Tensor|void|NormResult|MaxPoolResult|\w+Gradients|std::pair<Tensor, Tensor>|shape::ConvShape) (\w+)\(([^;]*)\);)");
  for (std::sregex_iterator it(all.begin(), all.end(), function), end; it != end; ++it) {
    const std::string name = (*it)[1];
    for (std::string argument : split_arguments((*it)[2])) {
      argument = std::regex_replace(argument, std::regex(R"(\s*=.*$)"), "");
      const size_t space = argument.find_last_of(" &");
      const std::string type = argument.substr(0, space), last = argument.substr(space + 1);
      bool options = false;
      for (const auto& [struct_name, fields] : structs) {
        if (type.find(struct_name) == std::string::npos ||
            std::isalnum(static_cast<unsigned char>(type[type.find(struct_name) - 1])) != 0)
          continue;
        options = true;
        for (const auto& [field_type, field_name] : fields) {
          if (!always_legal(field_type, field_name)) functions[name].insert(field_name);
        }
      }
      if (!options && !always_legal(type, last)) functions[name].insert(last);
    }
  }
  return functions;
}

TEST(ErrorTable, EveryArgumentHasARow) {
  // Arguments that a function ignores or for which no value is wrong, with the reason.
  const std::set<std::string> exempt{
      "nll_loss.ignore_index",
      "nll_loss_backward.ignore_index",
      "cross_entropy.ignore_index",
      "cross_entropy_backward.ignore_index",  // any number
      "nll_loss.label_smoothing",
      "nll_loss_backward.label_smoothing",  // not used
      "softplus.beta",                      // any number
      "max_unpool.dilation",                // not used
      "activation.a",
      "activation.b",
      "activation_backward.a",
      "activation_backward.b",  // any number
      "local_response_norm.beta",
      "triu.diagonal",
      "tril.diagonal",
      "eye.diagonal",  // any number
  };
  std::set<std::string> rows;
  for (const Row& row : table()) rows.insert(row.argument);
  const Declared functions = declared_functions();
  EXPECT_GT(functions.size(), 60U) << "the headers were not understood";
  for (const auto& [function, arguments] : functions) {
    for (const std::string& argument : arguments) {
      const std::string name = function + "." + argument;
      EXPECT_TRUE(rows.contains(name) || exempt.contains(name)) << name << " has no row in the error table";
    }
  }
}

}  // namespace
}  // namespace convoy::robustness
