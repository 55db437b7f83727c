#pragma once
// What each life of a process is made of: its name, command, environment, user and limits. Knows
// the system's users and the environment files; makes no child.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "child/spawn.h"
#include "config/config.h"
#include "config/expand.h"
#include "core/fleet.h"
#include "daemon/process_parts.h"
#include "daemon/programs.h"
#include "registry/registry.h"

namespace muster::daemon {

struct Surroundings {
    std::string host;
    std::string instance;
    std::string service;
    std::string control_path;  // "" = none
    bool child_gets_stdin = false;
};

struct PreparedProgram {                        // made once
    std::unique_ptr<child::Identity> identity;  // null: ours
    std::map<std::string, std::string> from_file;
};
// Users, groups and the environment file: waits for the disk and the name service. What cannot be
// had is told with the program's name.
Result<PreparedProgram> prepare_program(const std::string& name,
                                        const config::ProgramSettings& settings);

class Lives {
public:
    // All references outlive it.
    Lives(const Programs& programs,
          const std::vector<config::Group>& groups,
          const core::Fleet& fleet,
          const Parts& parts)
        : programs_(programs), groups_(groups), fleet_(fleet), parts_(parts) {}
    Lives(const Lives&) = delete;
    Lives& operator=(const Lives&) = delete;
    ~Lives() = default;

    // Before the first life: prepares all programs.
    Outcome prepare(Surroundings surroundings);
    // Of a program that a reload has brought or changed: for its next lives.
    void adopt(ProgramId program, PreparedProgram prepared);

    // What its next life is made of.
    [[nodiscard]] const RunSettings& settings_of(ProcessId process) const {
        return programs_.settings(fleet_.program_of(process));
    }
    // What its current or last life was made of.
    [[nodiscard]] const RunSettings& life_of(ProcessId process) const;
    // As whom a program runs; nothing where that is us.
    [[nodiscard]] std::optional<std::uint32_t> uid_of(ProgramId program) const;

    // The name of a process's next life; {pid} stands in it as child::pid_marker until the spawn.
    [[nodiscard]] std::string new_name(ProcessId process) const;
    // What a home-made worker's last life keeps in Redis; nothing for other job systems.
    [[nodiscard]] std::optional<registry::CustomEntry> custom_entry(ProcessId process) const;
    // A setting's text with its placeholders filled, by the name that the life has been given.
    [[nodiscard]] std::string filled(ProcessId process, std::string_view text) const {
        return config::fill(text, placeholders(process));
    }
    // All but where its output goes. Views what is kept here: for one spawn.
    [[nodiscard]] child::ChildSpec spec_of(ProcessId process, Incarnation who) const;
    // By these in its environment a member of the family is known that has left the session.
    [[nodiscard]] std::vector<std::string> marks(ProcessId process, Incarnation who) const;
    [[nodiscard]] std::string instance_mark() const;

private:
    [[nodiscard]] config::Placeholders placeholders(ProcessId process) const;
    using Values = std::map<std::string, std::string>;
    [[nodiscard]] Values own_values(ProcessId process, const config::Placeholders& values) const;
    [[nodiscard]] Values listener_values(ProcessId process) const;

    const Programs& programs_;
    const std::vector<config::Group>& groups_;
    const core::Fleet& fleet_;
    const Parts& parts_;
    Surroundings surroundings_;
    std::vector<std::string> environment_;  // ours, shared by all programs
    std::deque<PreparedProgram> prepared_;  // by program id
};

}  // namespace muster::daemon
