// An engine without a network, and clients that talk to it.
//
//   TestServer server;
//   TestClient a(&server), b(&server);
//   CHECK(a("SET k \"a b\"") == "OK");
//   server.AdvanceMs(1000);
//   CHECK(b("GET k") == "\"a b\"");
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply_reader.h"
#include "resp/request_parser.h"
#include "src/engine/engine.h"
#include "store/store.h"
#include "tests/store/fixture.h"

namespace sluice::testing {

class TestServer {
 public:
  explicit TestServer(Host* host = nullptr) {
    Store::Options options;
    options.dir = dir_.path();
    options.durable = false;
    auto opened = Store::Open(options);
    REQUIRE_MESSAGE(opened.ok(), opened.status().message());
    store_ = std::move(*opened);
    engine_ = std::make_unique<Engine>(store_.get(), &config_, &clock_, host ? host : &host_);
    engine_->BeginTurn();
  }

  Engine& engine() { return *engine_; }
  Store& store() { return *store_; }
  Config& config() { return config_; }
  ManualClock& clock() { return clock_; }
  int64_t now_ms() const { return clock_.WallUs() / 1000; }

  // Ends the turn and begins the next: waits time out, keys expire, rows are reclaimed.
  void Turn() {
    engine_->EndTurn();
    engine_->TakeTouched();
    engine_->BeginTurn();
  }
  void AdvanceMs(int64_t ms) {
    clock_.AdvanceMs(ms);
    engine_->BeginTurn();
    Turn();
  }
  // Time goes by, but nothing is done about it until a command comes.
  void AdvanceQuietlyMs(int64_t ms) {
    clock_.AdvanceMs(ms);
    engine_->BeginTurn();
  }

 private:
  TempDir dir_;
  ManualClock clock_;
  Config config_;
  Host host_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Engine> engine_;
};

class TestClient {
 public:
  explicit TestClient(TestServer* server, int protocol = 2)
      : server_(server), session_(server->engine().NewSession()) {
    session_->reply.set_protocol(protocol);
  }
  ~TestClient() { Close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  Session& session() { return *session_; }
  void Close() {
    if (session_) server_->engine().CloseSession(session_);
    session_ = nullptr;
  }

  // One command, in the quoting of redis-cli; the reply on one line (see ToText), or "(blocked)".
  std::string operator()(std::string_view line) {
    std::string input = std::string(line) + "\r\n";
    resp::RequestParser parser;
    REQUIRE(parser.Parse(input) == resp::RequestParser::Outcome::kRequest);
    server_->engine().Execute(*session_, parser.args());
    return Take();
  }
  // The same with arguments of any bytes and length.
  std::string Call(const std::vector<std::string_view>& args) {
    server_->engine().Execute(*session_, args);
    return Take();
  }
  // The next reply that has arrived.
  std::string Take() {
    reader_.Feed(session_->out.view());
    session_->out.Consume(session_->out.size());
    resp::Reply reply;
    if (reader_.Next(&reply) != resp::ReplyReader::Outcome::kReply) {
      return session_->blocked ? "(blocked)" : "(nothing)";
    }
    return resp::ToText(reply);
  }

 private:
  TestServer* server_;
  Session* session_;
  resp::ReplyReader reader_;
};

}  // namespace sluice::testing
