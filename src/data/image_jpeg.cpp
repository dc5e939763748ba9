#include <fmt/format.h>
#include <turbojpeg.h>

#include <memory>
#include <type_traits>

#include "data/image_formats.hpp"

namespace volley {
namespace {

struct Destroy {
  void operator()(void* decoder) const { tjDestroy(decoder); }
};
using Decoder = std::unique_ptr<std::remove_pointer_t<tjhandle>, Destroy>;

/// A picture of 4096 x 4096 in more scans than that costs minutes: libjpeg-turbo's guard against such files.
constexpr int kFlags = TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT;

[[noreturn]] void fail_decoding(const std::filesystem::path& path, const Decoder& decoder) {
  fail_image(path, fmt::format("not a good JPEG file: {}", tjGetErrorStr2(decoder.get())));
}

}  // namespace

Pixels read_jpeg(const std::filesystem::path& path, std::string_view bytes, std::size_t most) {
  const Decoder decoder(tjInitDecompress());
  if (decoder == nullptr) fail_image(path, "no memory for a JPEG decoder");
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, sampling = 0, space = 0;
  if (tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height, &sampling, &space) != 0)
    fail_decoding(path, decoder);
  if (width == 0) fail_image(path, "not a good JPEG file: it ends before its picture");
  check_image_size(path, static_cast<std::size_t>(width), static_cast<std::size_t>(height), most);
  if (space == TJCS_CMYK || space == TJCS_YCCK)
    fail_image(path, "must be a JPEG file in grey or in red, green and blue, got one of four inks (CMYK)");
  const bool grey = space == TJCS_GRAY;
  Pixels pixels{static_cast<std::size_t>(width), static_cast<std::size_t>(height), grey ? 1u : 3u, {}};
  pixels.bytes.resize(pixels.width * pixels.height * pixels.channels);
  if (tjDecompress2(decoder.get(), data, bytes.size(), pixels.bytes.data(), width, 0, height,
                    grey ? TJPF_GRAY : TJPF_RGB, kFlags) != 0) {
    fail_decoding(path, decoder);
  }
  return pixels;
}

}  // namespace volley
