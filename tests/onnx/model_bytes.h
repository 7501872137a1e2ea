// Writes ONNX files byte by byte, right ones and wrong ones, for tests that hold the reader against them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace convoy::testing {

/// A protobuf message under construction. Field numbers are those of onnx.proto.
class Message {
 public:
  Message& integer(uint32_t number, uint64_t value) {
    key(number, 0);
    varint(value);
    return *this;
  }
  Message& bytes(uint32_t number, const std::string& value) {
    key(number, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(uint32_t number, const Message& value) { return bytes(number, value.bytes_); }
  Message& real32(uint32_t number, float value) {
    key(number, 5);
    bytes_.append(reinterpret_cast<const char*>(&value), 4);
    return *this;
  }
  const std::string& str() const { return bytes_; }

 private:
  void key(uint32_t number, uint32_t type) { varint(uint64_t{number} << 3 | type); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

inline constexpr uint64_t kFloat = 1, kInt64 = 7;

inline Message attribute_int(const std::string& name, int64_t value) {
  return Message().bytes(1, name).integer(3, static_cast<uint64_t>(value)).integer(20, 2);
}
inline Message attribute_float(const std::string& name, float value) {
  return Message().bytes(1, name).real32(2, value).integer(20, 1);
}
inline Message attribute_text(const std::string& name, const std::string& value) {
  return Message().bytes(1, name).bytes(4, value).integer(20, 3);
}
inline Message attribute_ints(const std::string& name, const std::vector<int64_t>& values) {
  Message attribute = Message().bytes(1, name).integer(20, 7);
  for (const int64_t value : values) attribute.integer(8, static_cast<uint64_t>(value));
  return attribute;
}
inline Message attribute_tensor(const std::string& name, const Message& tensor) {
  return Message().bytes(1, name).message(5, tensor).integer(20, 4);
}

inline Message node(const std::string& op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                    const std::vector<Message>& attributes = {}, const std::string& name = {}, const std::string& domain = {}) {
  Message result;
  for (const std::string& input : inputs) result.bytes(1, input);
  for (const std::string& output : outputs) result.bytes(2, output);
  if (!name.empty()) result.bytes(3, name);
  result.bytes(4, op);
  for (const Message& attribute : attributes) result.message(5, attribute);
  if (!domain.empty()) result.bytes(7, domain);
  return result;
}

/// -1, -2 and -3 are sizes that may be any, named N, H and W.
inline Message value_info(const std::string& name, const std::vector<int64_t>& shape, uint64_t type = kFloat) {
  Message dims;
  for (const int64_t size : shape)
    dims.message(1, size >= 0 ? Message().integer(1, static_cast<uint64_t>(size))
                              : Message().bytes(2, size == -1   ? "N"
                                                   : size == -2 ? "H"
                                                                : "W"));
  return Message().bytes(1, name).message(2, Message().message(1, Message().integer(1, type).message(2, dims)));
}

inline Message tensor_header(const std::string& name, const std::vector<int64_t>& dims, uint64_t type) {
  Message tensor;
  for (const int64_t size : dims) tensor.integer(1, static_cast<uint64_t>(size));
  return tensor.integer(2, type).bytes(8, name);
}

inline Message float_tensor(const std::string& name, const std::vector<int64_t>& dims, float value = 0.5f) {
  int64_t count = 1;
  for (const int64_t size : dims) count *= size;
  std::string raw;
  for (int64_t i = 0; i < count; ++i) raw.append(reinterpret_cast<const char*>(&value), 4);
  return tensor_header(name, dims, kFloat).bytes(9, raw);
}

inline Message int64_tensor(const std::string& name, const std::vector<int64_t>& values) {
  std::string raw;
  for (const int64_t value : values) raw.append(reinterpret_cast<const char*>(&value), 8);
  return tensor_header(name, {static_cast<int64_t>(values.size())}, kInt64).bytes(9, raw);
}

/// What goes into a graph: field number (1 node, 5 initializer, 11 input, 12 output, 13 value_info) and message.
struct Part {
  uint32_t number;
  Message message;
};

inline std::string model(const std::vector<Part>& parts, uint64_t opset = 17, const std::vector<Message>& functions = {}) {
  Message graph;
  for (const Part& part : parts) graph.message(part.number, part.message);
  graph.bytes(2, "g");
  Message result;
  result.integer(1, 8).message(7, graph).message(8, Message().bytes(1, "").integer(2, opset));
  for (const Message& function : functions) result.message(25, function);
  if (!functions.empty()) result.message(8, Message().bytes(1, "local").integer(2, 1));
  return result.str();
}

/// A model of these nodes with the float input x of `shape` and the output y.
inline std::string model_of(const std::vector<Message>& nodes, const std::vector<int64_t>& shape = {1, 2, 4, 4},
                            const std::vector<Message>& initializers = {}, uint64_t opset = 17) {
  std::vector<Part> parts;
  for (const Message& n : nodes) parts.push_back({1, n});
  for (const Message& tensor : initializers) parts.push_back({5, tensor});
  parts.push_back({11, value_info("x", shape)});
  parts.push_back({12, Message().bytes(1, "y")});
  return model(parts, opset);
}

}  // namespace convoy::testing
