// A client's socket: reads requests and feeds them to the engine, sends what the engine answered
// once it may leave.
#pragma once

#include <event2/event.h>

#include <cstdint>
#include <string_view>

#include "resp/buffer.h"
#include "resp/request_parser.h"
#include "src/engine/session.h"
#include "store/journal.h"

namespace sluice {

class Server;

class Connection {
 public:
  // Takes the socket over.
  Connection(Server* server, Session* session, int fd);
  ~Connection();
  Connection(const Connection&) = delete;

  Session& session() { return *session_; }

  // After a turn whose replies wait for `lsn`: sends what may leave, reads on, or closes. False:
  // the connection is finished and the server is to destroy it.
  bool Settle(Lsn lsn, Lsn released);
  // The first `bytes` held for a sync may leave. False: finished.
  bool Release(size_t bytes);
  // Goes on with requests that have arrived but were not executed yet.
  void Resume();
  // Sends what is left without waiting for the loop; at most a moment. For the end of the server.
  void SendLast();

  // Reads and executes while another session's script runs. What comes of it is sent at once, unless
  // something of this turn is before it and has to wait for the turn's end.
  void ReadWhileBusy();

  bool finished() const { return finished_; }
  bool reading() const { return reading_ && !finished_; }
  bool StillConnected() const;
  void Measure();
  // proto-max-bulk-len was changed.
  void LimitsChanged();
  // Ends the session when its output is over a hard limit, or has been over a soft one for too
  // long.
  void CheckOutputLimit();

 private:
  static void OnReadable(evutil_socket_t, short, void* self);
  static void OnWritable(evutil_socket_t, short, void* self);
  void Read();
  // Executes the complete requests at the front of `input`; returns how many bytes they took.
  size_t Process(std::string_view input);
  bool Paused() const;
  void Send();
  void WatchReading(bool on);

  Server* server_;
  Session* session_;
  int fd_;
  resp::Buffer in_;  // the start of a request that has not arrived whole, or that must wait
  resp::RequestParser parser_;
  event* readable_;
  event* writable_;
  bool reading_ = false;
  bool writing_ = false;  // the socket's buffer is full
  bool finished_ = false;
  size_t sendable_ = 0;  // bytes at the front of session.out that may leave
  size_t held_ = 0;      // bytes behind them that Release has been promised for
  int64_t over_soft_limit_since_ms_ = 0;
};

}  // namespace sluice
