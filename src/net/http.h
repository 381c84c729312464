// HTTP for what watches servers: `/metrics` in Prometheus's text format, `/` says so, and nothing
// else. It is served on the loop, from what INFO tells, and to whoever reaches its address: the
// directives metrics-port and metrics-bind decide who that is, no password does.
#pragma once

#include <memory>
#include <string>

#include "store/result.h"

struct evhttp;
struct evhttp_request;

namespace sluice {

class Server;

class HttpServer {
 public:
  // `server` must outlive it.
  static Result<std::unique_ptr<HttpServer>> Open(Server* server, const std::string& address,
                                                  int port);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;

 private:
  explicit HttpServer(Server* server) : server_(server) {}
  static void OnRequest(evhttp_request* request, void* self);
  void Answer(evhttp_request* request);
  std::string Info();

  Server* server_;
  evhttp* http_ = nullptr;
};

}  // namespace sluice
