// Damage to ONNX models that keeps them messages: fields change their values, go, come twice or trade places, and every length
// stays right. What comes out reaches the graph, where flipped bytes rarely get.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/mutation.h"
#include "tests/onnx/model_bytes.h"

namespace convoy::testing {

/// Messages of onnx.proto that have messages in them.
enum class Kind : uint8_t {
  kNone,
  kModel,
  kGraph,
  kNode,
  kAttribute,
  kTensor,
  kInfo,
  kType,
  kTensorType,
  kShape,
  kDim,
  kOpset,
  kFunction
};

inline Kind inside(Kind kind, uint64_t number) {
  switch (kind) {
    case Kind::kModel:
      return number == 7 ? Kind::kGraph : number == 8 ? Kind::kOpset : number == 25 ? Kind::kFunction : Kind::kNone;
    case Kind::kGraph:
      return number == 1 ? Kind::kNode : number == 5 ? Kind::kTensor : number >= 11 && number <= 13 ? Kind::kInfo : Kind::kNone;
    case Kind::kFunction:
      return number == 7 ? Kind::kNode : number == 9 ? Kind::kOpset : Kind::kNone;
    case Kind::kNode:
      return number == 5 ? Kind::kAttribute : Kind::kNone;
    case Kind::kAttribute:
      return number == 5 ? Kind::kTensor : Kind::kNone;
    case Kind::kInfo:
      return number == 2 ? Kind::kType : Kind::kNone;
    case Kind::kType:
      return number == 1 ? Kind::kTensorType : Kind::kNone;
    case Kind::kTensorType:
      return number == 2 ? Kind::kShape : Kind::kNone;
    case Kind::kShape:
      return number == 1 ? Kind::kDim : Kind::kNone;
    default:
      return Kind::kNone;
  }
}

struct TreeField {
  uint64_t number = 0;
  uint32_t wire = 0;
  uint64_t integer = 0;
  std::string bytes;
  Kind kind = Kind::kNone;
  std::vector<TreeField> fields;  // if kind is not kNone
};

inline uint64_t take_number(std::string_view& rest) {
  uint64_t value = 0;
  for (int shift = 0; !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) break;
  }
  return value;
}

inline std::vector<TreeField> parse_tree(std::string_view rest, Kind kind) {
  std::vector<TreeField> fields;
  while (!rest.empty()) {
    const uint64_t key = take_number(rest);
    TreeField field{.number = key >> 3, .wire = static_cast<uint32_t>(key & 7)};
    if (field.wire == 0) {
      field.integer = take_number(rest);
    } else {
      const size_t size = field.wire == 2 ? static_cast<size_t>(take_number(rest)) : field.wire == 5 ? 4 : 8;
      field.bytes = rest.substr(0, size);
      rest.remove_prefix(std::min(size, rest.size()));
      if (field.wire == 2) field.kind = inside(kind, field.number);
      if (field.kind != Kind::kNone) field.fields = parse_tree(field.bytes, field.kind);
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

inline std::string write_tree(const std::vector<TreeField>& fields) {
  std::string bytes;
  for (const TreeField& field : fields) {
    const auto number = static_cast<uint32_t>(field.number);
    if (field.wire == 0) {
      bytes += Message().integer(number, field.integer).str();
    } else if (field.wire == 2) {
      bytes += Message().bytes(number, field.kind != Kind::kNone ? write_tree(field.fields) : field.bytes).str();
    } else {
      const std::string key = Message().integer(number, 0).str();
      bytes += static_cast<char>(static_cast<unsigned char>(key[0]) | field.wire);
      bytes += key.substr(1, key.size() - 2) + field.bytes;
    }
  }
  return bytes;
}

class TreeMutator {
 public:
  explicit TreeMutator(uint64_t seed) : random_(seed) {}

  std::string damaged(const std::vector<std::string>& files) {
    std::vector<TreeField> tree = parse_tree(files[random_.below(files.size())], Kind::kModel);
    const std::vector<TreeField> other = parse_tree(files[random_.below(files.size())], Kind::kModel);
    for (size_t times = 1 + random_.below(3); times > 0; --times) damage(tree, other);
    return write_tree(tree);
  }

 private:
  // Goes down at random and changes something there.
  void damage(std::vector<TreeField>& fields, const std::vector<TreeField>& other) {
    if (fields.empty()) return;
    TreeField& field = fields[random_.below(fields.size())];
    if (field.kind != Kind::kNone && random_.below(8) != 0) {
      for (const TreeField& source : other) {
        if (source.kind == field.kind) return damage(field.fields, source.fields);
      }
      return damage(field.fields, {});
    }
    const size_t at = static_cast<size_t>(&field - fields.data());
    switch (random_.below(8)) {
      case 0:
        fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 1:
        fields.insert(fields.begin() + static_cast<std::ptrdiff_t>(random_.below(fields.size())), TreeField(field));
        break;
      case 2:
        std::swap(field, fields[random_.below(fields.size())]);
        break;
      case 3:
        if (!other.empty()) fields.push_back(other[random_.below(other.size())]);
        break;
      case 4: {  // another name or value of the same kind of field
        const TreeField& source = fields[random_.below(fields.size())];
        if (source.wire == field.wire && source.kind == field.kind) field = source;
        break;
      }
      default:
        change(field);
    }
  }

  void change(TreeField& field) {
    constexpr int64_t kNumbers[] = {0,         1,         2,  3,  4,   5,    7,     8,         11,
                                    16,        17,        63, 64, 255, 1000, 65536, INT32_MAX, int64_t{1} << 40,
                                    INT64_MAX, INT64_MIN, -1, -2, -3,  -5,   -64};
    const int64_t number = kNumbers[random_.below(std::size(kNumbers))];
    if (field.wire == 0) {
      field.integer = random_.below(3) == 0 ? field.integer + random_.below(5) - 2 : static_cast<uint64_t>(number);
    } else if (field.bytes.size() >= 8 && field.bytes.size() % 8 == 0 && random_.below(2) == 0) {
      field.bytes.replace(random_.below(field.bytes.size() / 8) * 8, 8, reinterpret_cast<const char*>(&number),
                          8);  // an int64 of raw_data
    } else if (!field.bytes.empty()) {
      field.bytes[random_.below(field.bytes.size())] = static_cast<char>(random_.below(256));
    }
  }

  Mutator random_;
};

}  // namespace convoy::testing
