#include "convoy/onnx/wire.h"

#include <bit>
#include <cstring>
#include <protozero/pbf_reader.hpp>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/onnx/file_bytes.h"

namespace convoy::onnx {

void fail_damaged(const Source& source, const char* at) {
  raise<FileError>(
      "{}: not an ONNX model: damaged or cut off at byte {} of {}\n"
      "an ONNX file is a protobuf message (onnx.ModelProto): was it copied whole, and is it not a JSON or text form?",
      source.name, at - source.bytes.data(), source.bytes.size());
}

void Source::copy(std::string_view part, void* to) const {
  if (file != nullptr) {
    file->copy(part, to);
  } else if (!part.empty()) {
    std::memcpy(to, part.data(), part.size());
  }
}

bool Fields::next() {
  if (at_ == end_) return false;
  try {
    protozero::pbf_reader reader(protozero::data_view(at_, static_cast<size_t>(end_ - at_)));
    reader.next();
    field_ = {.number = reader.tag()};
    switch (reader.wire_type()) {
      case protozero::pbf_wire_type::varint:
        field_.type = Field::Type::kVarint;
        field_.integer = reader.get_uint64();
        break;
      case protozero::pbf_wire_type::fixed64:
        field_.type = Field::Type::k64Bit;
        field_.integer = reader.get_fixed64();
        break;
      case protozero::pbf_wire_type::length_delimited: {
        const protozero::data_view view = reader.get_view();
        field_.type = Field::Type::kBytes;
        field_.bytes = {view.data(), view.size()};
        break;
      }
      case protozero::pbf_wire_type::fixed32:
        field_.type = Field::Type::k32Bit;
        field_.integer = reader.get_fixed32();
        break;
      default:
        fail_damaged(source_, at_);
    }
    at_ = reader.data().data();
  } catch (const protozero::exception&) {
    fail_damaged(source_, at_);
  }
  return true;
}

void Fields::wrong_type() const {
  raise<FileError>(
      "{}: not an ONNX model: field {} before byte {} has another wire type than onnx.proto says\n"
      "is this a file of another kind?",
      source_.name, field_.number, at_ - source_.bytes.data());
}

std::string_view Fields::bytes() const {
  if (field_.type != Field::Type::kBytes) wrong_type();
  return field_.bytes;
}

int64_t Fields::integer() const {
  if (field_.type != Field::Type::kVarint) wrong_type();
  return static_cast<int64_t>(field_.integer);
}

float Fields::real32() const {
  if (field_.type != Field::Type::k32Bit) wrong_type();
  return std::bit_cast<float>(static_cast<uint32_t>(field_.integer));
}

uint64_t take_varint(const Source& source, std::string_view& packed) {
  const char* at = packed.data();
  try {
    const uint64_t value = protozero::decode_varint(&at, packed.data() + packed.size());
    packed.remove_prefix(static_cast<size_t>(at - packed.data()));
    return value;
  } catch (const protozero::exception&) {
    fail_damaged(source, packed.data());
  }
}

int64_t count_varints(std::string_view packed) {
  int64_t count = 0;
  for (const char byte : packed) count += static_cast<unsigned char>(byte) < 0x80;
  return count;
}

}  // namespace convoy::onnx
