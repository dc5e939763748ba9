#include "core/sha256.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include <volley/error.hpp>

namespace volley {
namespace {

EVP_MD_CTX* as_context(void* pointer) { return static_cast<EVP_MD_CTX*>(pointer); }

/// libcrypto fails here only without memory, or where a policy has taken SHA-256 away.
void require(int ok) {
  if (ok != 1) throw Error("[sha256] the OpenSSL library on this machine refuses SHA-256");
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new(), [](void* p) { EVP_MD_CTX_free(as_context(p)); }) {
  require(context_ != nullptr ? EVP_DigestInit_ex(as_context(context_.get()), EVP_sha256(), nullptr) : 0);
}

void Sha256::add(std::span<const std::uint8_t> bytes) {
  require(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()));
}

std::string Sha256::hex() {
  std::array<std::uint8_t, 32> digest{};
  require(EVP_DigestFinal_ex(as_context(context_.get()), digest.data(), nullptr));
  std::string text;
  for (const std::uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 sum;
  sum.add({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return sum.hex();
}

std::string sha256_hex_of_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  const auto fail = [&] {
    throw FileError(path.string(), fmt::format("cannot read: {}", std::strerror(errno)));
  };
  if (file == nullptr) fail();
  Sha256 sum;
  std::vector<std::uint8_t> chunk(1 << 18);
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    sum.add({chunk.data(), count});
  }
  if (std::ferror(file.get()) != 0) fail();
  return sum.hex();
}

}  // namespace volley
