#include "resp/buffer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>

namespace sluice::resp {
namespace {

TEST_CASE("a buffer never used holds no memory") {
  Buffer buffer;
  CHECK(buffer.empty());
  CHECK(buffer.capacity() == 0);
  CHECK(buffer.view() == "");
  buffer.Append("");
  buffer.InsertAt(0, "");
  buffer.Consume(0);
  buffer.Shrink();
  CHECK(buffer.capacity() == 0);
}

TEST_CASE("bytes come out in the order they went in") {
  Buffer buffer;
  buffer.Append("hello ");
  buffer.Append("world");
  buffer.Append('!');
  CHECK(buffer.view() == "hello world!");
  buffer.Consume(6);
  CHECK(buffer.view() == "world!");
  buffer.Truncate(5);
  CHECK(buffer.view() == "world");
  std::memcpy(buffer.Reserve(4), "abcd", 4);
  buffer.Commit(3);
  CHECK(buffer.view() == "worldabc");
  buffer.Clear();
  CHECK(buffer.empty());
  CHECK(buffer.capacity() > 0);
}

TEST_CASE("replacing and inserting move only what lies behind") {
  Buffer buffer;
  buffer.Append("xx*0 tail");
  buffer.Consume(2);
  buffer.Replace(0, 2, "*1234");
  CHECK(buffer.view() == "*1234 tail");
  buffer.Replace(0, 5, "*9");
  CHECK(buffer.view() == "*9 tail");
  buffer.InsertAt(2, "8");
  CHECK(buffer.view() == "*98 tail");
  buffer.InsertAt(buffer.size(), "s");
  CHECK(buffer.view() == "*98 tails");
  buffer.InsertAt(0, std::string(1000, 'a'));
  CHECK(buffer.view() == std::string(1000, 'a') + "*98 tails");
  buffer.Replace(0, 1009, "");
  CHECK(buffer.empty());
}

TEST_CASE("a large reservation gets exactly what it asked for") {
  Buffer buffer;
  buffer.Append("*1\r\n$10000000\r\n");
  buffer.Reserve(10000002);
  CHECK(buffer.capacity() == 10000002 + 15);
  const char* before = buffer.data();
  std::memset(buffer.Reserve(10000002), 'x', 10000002);
  buffer.Commit(10000002);
  CHECK(buffer.data() == before);
}

TEST_CASE("small appends grow geometrically") {
  Buffer buffer;
  int growths = 0;
  size_t capacity = 0;
  for (int i = 0; i < 1000000; ++i) {
    buffer.Append('x');
    if (buffer.capacity() != capacity) ++growths;
    capacity = buffer.capacity();
  }
  CHECK(growths < 16);
  CHECK(capacity <= 2 * 1000000);
}

TEST_CASE("a buffer that is read as it is filled stays small") {
  Buffer buffer;
  for (int i = 0; i < 100000; ++i) {
    buffer.Append("0123456789");
    buffer.Append("abc");
    buffer.Consume(13 - (i % 2 == 0 ? 1 : 0) + (i % 2 == 0 ? 0 : 1));
  }
  CHECK(buffer.capacity() <= 512);
}

TEST_CASE("shrinking gives back memory only when nothing is in it") {
  Buffer buffer;
  buffer.Append(std::string(100000, 'x'));
  buffer.Shrink();
  CHECK(buffer.capacity() >= 100000);
  buffer.Consume(100000);
  buffer.Shrink(200000);
  CHECK(buffer.capacity() >= 100000);
  buffer.Shrink();
  CHECK(buffer.capacity() == 0);
  buffer.Append("again");
  CHECK(buffer.view() == "again");
}

TEST_CASE("moving a buffer moves its bytes") {
  Buffer a;
  a.Append("abc");
  Buffer b = std::move(a);
  CHECK(b.view() == "abc");
  Buffer c;
  c.Append("other");
  c = std::move(b);
  CHECK(c.view() == "abc");
}

TEST_CASE("any mixture of calls behaves as a string would") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Buffer buffer;
    std::string model;
    for (int step = 0; step < 300; ++step) {
      const size_t n = random() % (random() % 8 == 0 ? 5000 : 50);
      const std::string text(n, static_cast<char>('a' + random() % 26));
      const size_t at = model.empty() ? 0 : random() % (model.size() + 1);
      switch (random() % 5) {
        case 0:
        case 1:
          buffer.Append(text);
          model += text;
          break;
        case 2:
          buffer.Consume(at);
          model.erase(0, at);
          break;
        case 3:
          buffer.Truncate(at);
          model.resize(at);
          break;
        default: {
          const size_t length = std::min<size_t>(model.size() - at, random() % 20);
          buffer.Replace(at, length, text);
          model.replace(at, length, text);
        }
      }
      REQUIRE(buffer.view() == model);
    }
  }
}

}  // namespace
}  // namespace sluice::resp
