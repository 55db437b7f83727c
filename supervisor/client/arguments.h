#pragma once
// The arguments as the kernel shows them to whoever lists processes, and as a core dump begins.

#include <span>

namespace muster::client {

// Overwrites in place what may be secret in a URL (user and password, the query): once it has been
// read, nobody else needs it.
void hide_secrets(std::span<char> argument);

}  // namespace muster::client
