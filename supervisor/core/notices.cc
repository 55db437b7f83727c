#include "core/notices.h"

#include <algorithm>
#include <iterator>

namespace muster::core {

namespace {

struct Name {
    Notice what;
    std::string_view name;
};
constexpr Name names[] = {
    {Notice::process_state_starting, "PROCESS_STATE_STARTING"},
    {Notice::process_state_running, "PROCESS_STATE_RUNNING"},
    {Notice::process_state_backoff, "PROCESS_STATE_BACKOFF"},
    {Notice::process_state_stopping, "PROCESS_STATE_STOPPING"},
    {Notice::process_state_exited, "PROCESS_STATE_EXITED"},
    {Notice::process_state_stopped, "PROCESS_STATE_STOPPED"},
    {Notice::process_state_fatal, "PROCESS_STATE_FATAL"},
    {Notice::remote_communication, "REMOTE_COMMUNICATION"},
    {Notice::supervisor_state_change_running, "SUPERVISOR_STATE_CHANGE_RUNNING"},
    {Notice::supervisor_state_change_stopping, "SUPERVISOR_STATE_CHANGE_STOPPING"},
    {Notice::tick_5, "TICK_5"},
    {Notice::tick_60, "TICK_60"},
    {Notice::tick_3600, "TICK_3600"},
    {Notice::process_group_added, "PROCESS_GROUP_ADDED"},
    {Notice::process_group_removed, "PROCESS_GROUP_REMOVED"},
};

constexpr std::string_view classes[] = {"EVENT", "PROCESS_STATE", "SUPERVISOR_STATE_CHANGE", "TICK",
                                        "PROCESS_GROUP"};

bool is_of(std::string_view name, std::string_view its_class) {
    return its_class == "EVENT" || (name.size() > its_class.size() && name.starts_with(its_class) &&
                                    name[its_class.size()] == '_');
}

}  // namespace

std::vector<Notice> NoticeSet::all() const {
    std::vector<Notice> found;
    for (const Name& each : names) {
        if (contains(each.what)) found.push_back(each.what);
    }
    return found;
}

std::string_view notice_name(Notice what) {
    const auto* found = std::find_if(std::begin(names), std::end(names),
                                     [&](const Name& each) { return each.what == what; });
    return found == std::end(names) ? "EVENT" : found->name;
}

NoticeSet notices_called(std::string_view name) {
    const bool is_class =
        std::find(std::begin(classes), std::end(classes), name) != std::end(classes);
    NoticeSet found;
    for (const Name& each : names) {
        if (each.name == name || (is_class && is_of(each.name, name))) found.add(each.what);
    }
    return found;
}

bool is_foreign_notice(std::string_view name) {
    return name.starts_with("PROCESS_LOG") || name.starts_with("PROCESS_COMMUNICATION") ||
           name == "PROCESS_STATE_UNKNOWN" || name == "PROCESS_STATE_CHANGE";
}

std::vector<std::string_view> notice_words() {
    std::vector<std::string_view> words(std::begin(classes), std::end(classes));
    for (const Name& each : names) words.push_back(each.name);
    return words;
}

}  // namespace muster::core
