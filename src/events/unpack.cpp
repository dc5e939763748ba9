#include "events/unpack.hpp"

#include <fmt/format.h>
#include <lz4frame.h>
#include <zstd.h>

#include <algorithm>
#include <new>

#include "core/load.hpp"

namespace volley {
namespace {

constexpr std::size_t kSizeBytes = 4;
constexpr std::size_t kFirstBytes = 1 << 16;
constexpr int kMostWindowLog = 25;  // memory of Zstandard: 32 MiB

}  // namespace

void PacketUnpacker::FreeLz4::operator()(LZ4F_dctx_s* context) const {
  LZ4F_freeDecompressionContext(context);
}
void PacketUnpacker::FreeZstd::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

PacketUnpacker::PacketUnpacker(EventPacking packing) : packing_(packing) {
  if (packing == EventPacking::lz4) {
    LZ4F_dctx* context = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0) throw std::bad_alloc();
    lz4_.reset(context);
  } else if (packing == EventPacking::zstd) {
    zstd_.reset(ZSTD_createDCtx());
    if (zstd_ == nullptr) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(zstd_.get(), ZSTD_d_windowLogMax, kMostWindowLog);
  }
}

void PacketUnpacker::reset() {
  if (lz4_ != nullptr) LZ4F_resetDecompressionContext(lz4_.get());
  if (zstd_ != nullptr) ZSTD_DCtx_reset(zstd_.get(), ZSTD_reset_session_only);
}

PacketUnpacker::Step PacketUnpacker::step(std::string_view packed, std::span<char> to) {
  if (packing_ == EventPacking::lz4) {
    std::size_t read = packed.size(), written = to.size();
    const std::size_t code = LZ4F_decompress(lz4_.get(), to.data(), &written, packed.data(), &read, nullptr);
    return {read, written, code == 0, LZ4F_isError(code) != 0};
  }
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  ZSTD_outBuffer out{to.data(), to.size(), 0};
  const std::size_t code = ZSTD_decompressStream(zstd_.get(), &out, &in);
  return {in.pos, out.pos, code == 0, ZSTD_isError(code) != 0};
}

/// As the bytes come, and not as a size says that is never followed by as many.
void PacketUnpacker::grow(const EventBytes& file, std::size_t filled) {
  const std::size_t size = kSizeBytes + load<std::uint32_t>(unpacked_.data());
  if (size > kMostBytes)
    file.fail(fmt::format("packets of at most {} unpacked bytes", kMostBytes), fmt::format("{}", size));
  if (filled > size) file.fail(fmt::format("a packet of {} unpacked bytes", size), "more");
  unpacked_.resize(std::min(2 * filled, size + 1));
}

std::string_view PacketUnpacker::unpack(const EventBytes& file, std::string_view packed) {
  std::string_view whole = packed;
  if (packing_ != EventPacking::none) {
    reset();
    unpacked_.resize(std::max(unpacked_.size(), kFirstBytes));
    std::size_t filled = 0;
    for (Step done; !done.ended;) {
      if (filled == unpacked_.size()) grow(file, filled);
      done = step(packed, std::span(unpacked_).subspan(filled));
      if (done.failed) file.fail("a packet that can be unpacked", "a damaged one");
      if (done.read == 0 && done.written == 0 && !done.ended) file.fail("the end of a packed packet", "none");
      packed.remove_prefix(done.read);
      filled += done.written;
    }
    whole = std::string_view(unpacked_).substr(0, filled);
  }
  const std::size_t size = whole.size() < kSizeBytes ? 0 : load<std::uint32_t>(whole.data());
  if (whole.size() < kSizeBytes || whole.size() - kSizeBytes != size)
    file.fail(fmt::format("a packet of {} bytes", kSizeBytes + size), fmt::format("{}", whole.size()));
  return whole.substr(kSizeBytes);
}

}  // namespace volley
