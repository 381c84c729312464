#include "src/engine/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <new>

namespace sluice {
namespace {

std::string Hex(const unsigned char* bytes, size_t n) {
  std::string out;
  out.reserve(2 * n);
  for (size_t i = 0; i < n; ++i) {
    out += "0123456789abcdef"[bytes[i] >> 4];
    out += "0123456789abcdef"[bytes[i] & 15];
  }
  return out;
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  // Fails only where there is no memory for its state.
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &n, EVP_sha256(), nullptr) != 1) {
    throw std::bad_alloc();
  }
  return Hex(digest, n);
}

bool SameSecret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string RandomHex(size_t digits) {
  std::string bytes((digits + 1) / 2, '\0');
  auto* begin = reinterpret_cast<unsigned char*>(bytes.data());
  if (RAND_bytes(begin, static_cast<int>(bytes.size())) != 1) return {};
  return Hex(begin, bytes.size()).substr(0, digits);
}

}  // namespace sluice
