#compdef muster
# Made from the sources: see docs/architecture.md.

# The names that the running supervisor has: KEY|KEY of its status, then options of compadd.
_muster_names() {
    local found
    local -a socket names
    [[ -n $muster_socket ]] && socket=(-s $muster_socket)
    found=$(muster status --json $socket 2>/dev/null </dev/null |
        grep -oE "\"($1)\": ?\"[^\"]+\"" | sed -E 's/^[^:]*: ?"//; s/"$//' | sort -u)
    names=(${(f)found})
    shift
    compadd "$@" -a names
}

_muster_selectors() {
    compadd all
    _muster_names 'id|program|group'
}

_muster_programs() {
    _muster_names program -S =
}

_muster() {
    local curcontext=$curcontext state line muster_socket
    typeset -A opt_args
    muster_socket=${${words[(r)(-s|--socket)]:+${words[${words[(i)(-s|--socket)]}+1]}}}
    _arguments -C '(- *)'{-h,--help}'[tells how it is used]' \
        '(- *)'{-V,--version}'[shows the version]' \
        '(-s --socket)'{-s,--socket}'[the control socket]:PATH:_files' '1: :->verb' '*:: :->rest'
    case $state in
        verb)
            local -a verbs
            verbs=(
                'run:supervises what the configuration says, or one command'
                'check:validates the configuration'
                'status:shows the processes'
                'start:starts processes and waits until they are ready'
                'stop:stops processes and waits until nothing of them is left'
                'restart:stops and starts processes'
                'roll:restarts processes one at a time, each ready before the next'
                'scale:changes the number of a program'\''s processes'
                'quiet:lets workers take no new jobs, where the job system can'
                'resume:ends quiet'
                'reload:reads the configuration again and applies what changed'
                'signal:sends a signal to processes'
                'why:tells why processes are in their state, and of their last deaths'
                'logs:shows what processes wrote last'
                'events:shows what happened of late'
                'health:exits with 0 when all is ready, else with 1'
                'workers:shows every worker in the registry, its owner, alive or stale'
                'fleet:shows every instance of muster on the same Redis'
                'sweep:finds stale registrations; needs no supervisor'
                'shutdown:asks the supervisor to stop everything and end'
                'import:turns a supervisord.conf or a Procfile into TOML'
                'version:shows the version'
            )
            _describe -t verbs verb verbs ;;
        rest)
            case $words[1] in
                run)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '(-c --config)'{-c,--config}'[default\: $MUSTER_CONFIG, ./muster.toml, /etc/muster/muster.toml]:FILE:_files' \
                        '--registry[of the command'\''s workers]:rq|sidekiq|resque|celery|dramatiq|bullmq:(rq sidekiq resque celery dramatiq bullmq)' \
                        '(-n --processes)'{-n,--processes}'[how many of the command]:N:' \
                        '--redis[else $MUSTER_REDIS_URL, $REDIS_URL]:URL:' \
                        '--restart[after which ends it is started again]:always|on-failure|never:(always on-failure never)' \
                        '*:: :_normal' ;;
                check)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-c --config)'{-c,--config}'[default\: $MUSTER_CONFIG, ./muster.toml, /etc/muster/muster.toml]:FILE:_files' \
                        '--print[prints what is in effect, secrets masked]' \
                        '--connect[tries the way to Redis, TLS and permissions]' ;;
                status)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--watch[goes on, on a terminal]' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                start)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--no-wait[does not wait for the outcome]' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                stop)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--no-wait[does not wait for the outcome]' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                restart)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--no-wait[does not wait for the outcome]' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                roll)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--no-wait[does not wait for the outcome]' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                scale)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--no-wait[does not wait for the outcome]' \
                        '--json[prints JSON]' \
                        '*:SIZE:_muster_programs' ;;
                quiet)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                resume)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                reload)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--dry-run[tells what would change, and changes nothing]' \
                        '--no-wait[does not wait for the outcome]' \
                        '--json[prints JSON]' ;;
                signal)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--json[prints JSON]' \
                        ':SIG:(HUP INT QUIT KILL USR1 USR2 TERM CONT STOP TSTP WINCH)' \
                        '*:SEL:_muster_selectors' ;;
                why)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--json[prints JSON]' \
                        '*:SEL:_muster_selectors' ;;
                logs)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '(-f --follow)'{-f,--follow}'[goes on with what comes]' \
                        '(-n --lines)'{-n,--lines}'[how many of the last ones (100)]:N:' \
                        '--stderr[stderr instead of stdout]' \
                        '*:SEL:_muster_selectors' ;;
                events)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '(-f --follow)'{-f,--follow}'[goes on with what comes]' \
                        '(-n --lines)'{-n,--lines}'[how many of the last ones (100)]:N:' \
                        '--json[prints JSON]' ;;
                health)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--live[whether muster itself answers, ready or not\: for a liveness probe]' ;;
                workers)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--stale[only those that are stale]' \
                        '--json[prints JSON]' ;;
                fleet)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' \
                        '--json[prints JSON]' ;;
                sweep)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-c --config)'{-c,--config}'[default\: $MUSTER_CONFIG, ./muster.toml, /etc/muster/muster.toml]:FILE:_files' \
                        '--redis[else the configuration'\''s, $MUSTER_REDIS_URL, $REDIS_URL]:URL:' \
                        '--registry[whose; default\: rq]:rq|sidekiq:(rq sidekiq)' \
                        '--prefix[of muster'\''s own keys; default\: muster]:PREFIX:' \
                        '--apply[clears what is due; else nothing is]' \
                        '--wait[waits for the second look, a minute later]' \
                        '--json[prints JSON]' ;;
                shutdown)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' ;;
                import)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-o --output)'{-o,--output}'[a new file; else stdout]:OUT:_files' \
                        ':FILE:_files' ;;
                version)
                    _arguments '(- *)'{-h,--help}'[tells how it is used]' \
                        '(-s --socket)'{-s,--socket}'[the control socket; else $MUSTER_CONTROL]:PATH:_files' ;;
            esac ;;
    esac
}

_muster "$@"
