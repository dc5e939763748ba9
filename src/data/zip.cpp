#include "data/zip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <set>
#include <utility>

#include "core/load.hpp"
#include "data/packed_file.hpp"

namespace volley {
namespace {

// Signatures and sizes of the records (APPNOTE.TXT, 4.3).
constexpr std::uint32_t kMemberSignature = 0x04034b50;
constexpr std::uint32_t kEntrySignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocator64Signature = 0x07064b50;
constexpr std::size_t kMemberBytes = 30;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocator64Bytes = 20;

constexpr std::uint16_t kZip64Field = 1;
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;
/// In place of a number that the zip64 field has.
constexpr std::uint32_t kElsewhere = 0xffffffff;

struct Directory {
  std::size_t entries = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Bytes of a member, with its header.
struct Extent {
  std::size_t begin;
  std::size_t end;
  std::string name;
};

class DirectoryReader {
 public:
  DirectoryReader(const std::string& path, std::string_view archive) : path_(path), archive_(archive) {}

  std::vector<ZipMember> read() {
    const Directory directory = find_directory();
    std::vector<ZipMember> members;
    std::size_t at = directory.begin;
    for (std::size_t i = 0; i < directory.entries; ++i) members.push_back(read_entry(at, directory));
    if (at != directory.end) {
      fail(fmt::format("{} bytes in the zip directory", at - directory.begin),
           fmt::format("{}", directory.end - directory.begin));
    }
    check_extents();
    return members;
  }

 private:
  [[noreturn]] void fail(const std::string& expected, const std::string& found) const {
    ReadPlace{path_}.fail(expected, found);
  }

  template <class T>
  T number(std::size_t at) const {
    return load<T>(archive_.data() + at);
  }
  bool is_record(std::size_t at, std::uint32_t signature, std::size_t bytes) const {
    return at <= archive_.size() && bytes <= archive_.size() - at && number<std::uint32_t>(at) == signature;
  }

  /// The end record is the last thing in the archive but for a comment of up to 64 KiB, whose length it has.
  Directory find_directory() const {
    constexpr std::size_t kMostComment = 0xffff;
    const std::size_t last = archive_.size() - std::min(archive_.size(), kEndBytes);
    for (std::size_t comment = 0; comment <= std::min(last, kMostComment); ++comment) {
      const std::size_t at = last - comment;
      if (is_record(at, kEndSignature, kEndBytes) && number<std::uint16_t>(at + 20) == comment) {
        return read_end(at);
      }
    }
    fail("a zip archive, which ends with its directory", "another end");
  }

  Directory read_end(std::size_t at) const {
    std::size_t entries = number<std::uint16_t>(at + 10);
    std::size_t bytes = number<std::uint32_t>(at + 12);
    std::size_t begin = number<std::uint32_t>(at + 16);
    std::size_t end = at;
    if (at >= kLocator64Bytes && is_record(at - kLocator64Bytes, kLocator64Signature, kLocator64Bytes)) {
      end = number<std::uint64_t>(at - kLocator64Bytes + 8);
      if (end >= at || !is_record(end, kEnd64Signature, kEnd64Bytes)) {
        fail(fmt::format("a zip64 end record at {}", end), "another record");
      }
      entries = number<std::uint64_t>(end + 32);
      bytes = number<std::uint64_t>(end + 40);
      begin = number<std::uint64_t>(end + 48);
    }
    if (begin > end || bytes != end - begin) {
      fail(fmt::format("a zip directory of {} bytes from {} on", bytes, begin),
           fmt::format("its end at {}", end));
    }
    return {entries, begin, end};
  }

  /// The entry at `at`, which moves behind it.
  ZipMember read_entry(std::size_t& at, const Directory& directory) {
    if (directory.end - at < kEntryBytes || !is_record(at, kEntrySignature, kEntryBytes)) {
      fail(fmt::format("{} entries in the zip directory", directory.entries), "fewer");
    }
    const auto flags = number<std::uint16_t>(at + 8);
    const auto method = number<std::uint16_t>(at + 10);
    const std::size_t name_bytes = number<std::uint16_t>(at + 28);
    const std::size_t extra_bytes = number<std::uint16_t>(at + 30);
    const std::size_t comment_bytes = number<std::uint16_t>(at + 32);
    const std::size_t texts = at + kEntryBytes, texts_bytes = name_bytes + extra_bytes + comment_bytes;
    if (texts_bytes > directory.end - texts) {
      fail(fmt::format("{} entries in the zip directory", directory.entries),
           "one that reaches beyond its end");
    }
    ZipMember member;
    member.name = archive_.substr(texts, name_bytes);
    member.crc = number<std::uint32_t>(at + 16);
    member.packed = number<std::uint32_t>(at + 20);
    member.size = number<std::uint32_t>(at + 24);
    std::size_t header = number<std::uint32_t>(at + 42);
    const ReadPlace place{path_, member.name};
    read_zip64(place, archive_.substr(texts + name_bytes, extra_bytes), member, header);
    if (!names_.insert(member.name).second) place.fail("each name once", "it twice");
    if ((flags & kEncrypted) != 0) place.fail("a member that is not encrypted", "an encrypted one");
    if (method != kStored && method != kDeflated) {
      place.fail("a member that is stored or deflated", fmt::format("one of method {}", method));
    }
    member.deflated = method == kDeflated;
    find_bytes(place, header, directory, member);
    at = texts + texts_bytes;
    return member;
  }

  /// The zip64 field has, in this order, those of the numbers that 32 bits cannot hold.
  static void read_zip64(const ReadPlace& place, std::string_view extra, ZipMember& member,
                         std::size_t& header) {
    std::vector<std::size_t*> wanted;
    for (std::size_t* number : {&member.size, &member.packed, &header}) {
      if (*number == kElsewhere) wanted.push_back(number);
    }
    constexpr std::size_t kFieldBytes = 4;  // its kind, and the bytes that follow
    while (!wanted.empty()) {
      if (extra.size() < kFieldBytes) place.fail("a zip64 field", "none");
      const auto kind = load<std::uint16_t>(extra.data());
      const std::size_t bytes = load<std::uint16_t>(extra.data() + 2);
      extra.remove_prefix(kFieldBytes);
      const bool is_zip64 = kind == kZip64Field;
      if (bytes > extra.size() || (is_zip64 && bytes < wanted.size() * sizeof(std::uint64_t))) {
        place.fail(fmt::format("a zip64 field of {} numbers", wanted.size()), fmt::format("{} bytes", bytes));
      }
      if (is_zip64) {
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          *wanted[i] = load<std::uint64_t>(extra.data() + i * sizeof(std::uint64_t));
        }
        return;
      }
      extra.remove_prefix(bytes);
    }
  }

  /// By the header in front of the member, which also has its name.
  void find_bytes(const ReadPlace& place, std::size_t header, const Directory& directory, ZipMember& member) {
    if (!is_record(header, kMemberSignature, kMemberBytes)) {
      place.fail(fmt::format("a header at {}", header), "another record");
    }
    const std::size_t name_bytes = number<std::uint16_t>(header + 26);
    member.begin = header + kMemberBytes + name_bytes + number<std::uint16_t>(header + 28);
    if (member.begin > directory.begin || member.packed > directory.begin - member.begin) {
      place.fail(fmt::format("{} bytes in front of the zip directory", member.packed),
                 fmt::format("{}", directory.begin - std::min(member.begin, directory.begin)));
    }
    if (archive_.substr(header + kMemberBytes, name_bytes) != member.name) {
      place.fail("the same name in its header", "another");
    }
    const bool fits =
        member.deflated ? member.size / kDeflateRatio <= member.packed : member.size == member.packed;
    if (!fits) {
      place.fail(fmt::format("{} unpacked bytes", member.size), fmt::format("{} packed ones", member.packed));
    }
    extents_.push_back({header, member.begin + member.packed, member.name});
  }

  void check_extents() {
    std::ranges::sort(extents_, {}, &Extent::begin);
    for (std::size_t i = 1; i < extents_.size(); ++i) {
      if (extents_[i].begin < extents_[i - 1].end) {
        ReadPlace{path_, extents_[i].name}.fail("bytes behind those of the member before", "some of these");
      }
    }
  }

  const std::string& path_;
  std::string_view archive_;
  std::set<std::string> names_;
  std::vector<Extent> extents_;
};

void require_crc(const ReadPlace& place, std::uint32_t expected, std::uint32_t found) {
  if (found == expected) return;
  place.fail(fmt::format("contents of CRC {:08x}", expected),
             fmt::format("{:08x}: the file is damaged", found));
}

}  // namespace

std::vector<ZipMember> read_zip_directory(const std::string& path, std::string_view archive) {
  return DirectoryReader(path, archive).read();
}

Inflater::Inflater(ReadPlace place, const ZipMember& member, std::string_view archive)
    : place_(std::move(place)),
      packed_(archive.substr(member.begin, member.packed)),
      expected_crc_(member.crc) {
  auto stream = std::make_unique<z_stream>();
  if (inflateInit2(stream.get(), -MAX_WBITS) != Z_OK) throw std::bad_alloc();  // -: without zlib's header
  stream_.reset(stream.release());
}

std::size_t Inflater::unpack(std::span<std::byte> to) {
  constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
  const std::size_t wanted = std::min(to.size(), kPiece);
  stream_->next_out = reinterpret_cast<Bytef*>(to.data());
  stream_->avail_out = static_cast<uInt>(wanted);
  int code = Z_OK;
  while (code == Z_OK && stream_->avail_out > 0) {
    if (stream_->avail_in == 0) {
      const std::size_t piece = std::min(packed_.size(), kPiece);
      stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed_.data()));
      stream_->avail_in = static_cast<uInt>(piece);
      packed_.remove_prefix(piece);
    }
    code = inflate(stream_.get(), Z_NO_FLUSH);
  }
  if (code == Z_MEM_ERROR) throw std::bad_alloc();
  if (code != Z_OK && code != Z_STREAM_END) place_.fail("a deflated member", "damaged bytes, or too few");
  const std::size_t came = wanted - stream_->avail_out;
  crc_ = static_cast<std::uint32_t>(crc32_z(crc_, reinterpret_cast<const Bytef*>(to.data()), came));
  return came;
}

void Inflater::read(std::span<std::byte> to) {
  while (!to.empty()) {
    const std::size_t came = unpack(to);
    if (came == 0) place_.fail(fmt::format("{} more bytes", to.size()), "none");
    to = to.subspan(came);
  }
}

void Inflater::finish() {
  std::byte more{};
  if (unpack({&more, 1}) != 0 || stream_->avail_in != 0 || !packed_.empty()) {
    place_.fail("its end after the bytes that its size tells", "more");
  }
  require_crc(place_, expected_crc_, crc_);
}

void check_crc(const ReadPlace& place, const ZipMember& member, std::string_view bytes) {
  require_crc(
      place, member.crc,
      static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size())));
}

}  // namespace volley
