// Protocol buffers' wire format: the fields of a message, one after the other, without generated code and without copies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace convoy::onnx {

class FileBytes;

/// The bytes of a file, for messages that say where they are damaged.
struct Source {
  std::string name;
  std::string_view bytes;
  const FileBytes* file = nullptr;  // set: large values are not in `bytes` yet

  /// Copies values, part of `bytes`, to where they are wanted.
  void copy(std::string_view part, void* to) const;
};

/// One field. Numbers of any wire type are in `integer` (as bits), strings and messages in `bytes`.
struct Field {
  enum class Type : uint8_t { kVarint, k64Bit, kBytes, k32Bit };

  uint32_t number = 0;
  Type type = Type::kVarint;
  uint64_t integer = 0;
  std::string_view bytes;
};

/// Walks over the fields of a message.
///
/// Errors: FileError "NAME: not an ONNX model: damaged or cut off at byte 123".
class Fields {
 public:
  Fields(const Source& source, std::string_view message)
      : source_(source), at_(message.data()), end_(message.data() + message.size()) {}

  /// Goes to the next field; false at the end.
  bool next();

  uint32_t number() const { return field_.number; }
  const Field& field() const { return field_; }
  /// The field's value. Errors: FileError if the field is written as another wire type.
  std::string_view bytes() const;
  int64_t integer() const;
  float real32() const;

 private:
  [[noreturn]] void wrong_type() const;

  const Source& source_;
  const char* at_;
  const char* end_;
  Field field_;
};

/// Numbers packed one behind the other: takes the next varint from the front. Errors: as Fields.
uint64_t take_varint(const Source& source, std::string_view& packed);

/// How many varints `packed` holds.
int64_t count_varints(std::string_view packed);

[[noreturn]] void fail_damaged(const Source& source, const char* at);

}  // namespace convoy::onnx
