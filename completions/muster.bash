# bash completion for muster
# Made from the sources: see docs/architecture.md.

# The names that the running supervisor has: KEY|KEY of its status.
_muster_names() {
    local i socket=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in -s | --socket) socket=(-s "${COMP_WORDS[i + 1]}") ;; esac
    done
    "${COMP_WORDS[0]}" status --json ${socket[@]+"${socket[@]}"} 2>/dev/null </dev/null |
        grep -oE "\"($1)\": ?\"[^\"]+\"" | sed -E 's/^[^:]*: ?"//; s/"$//' | sort -u
}

_muster_offer() {
    local IFS=$' \t\n'
    COMPREPLY=($(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"))
}

_muster_offer_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}

_muster() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb= i place=0
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case $verb:${COMP_WORDS[i]} in
            run:--) COMPREPLY=($(compgen -c -- "$word")); return ;;
            *:-s | *:--socket | run:-c | run:--config | run:--registry | run:-n | run:--processes | run:--redis | run:--restart | check:-c | check:--config | logs:-n | logs:--lines | events:-n | events:--lines | sweep:-c | sweep:--config | sweep:--redis | sweep:--registry | sweep:--prefix | import:-o | import:--output) i=$((i + 1)) ;;
            *:-*) ;;
            :*) verb=${COMP_WORDS[i]} ;;
            *) place=$((place + 1)) ;;
        esac
    done
    case $before in -s | --socket) _muster_offer_files; return ;; esac
    case $verb in
        run)
            case $before in
                -c | --config) _muster_offer_files; return ;;
                --registry) _muster_offer "rq sidekiq resque celery dramatiq bullmq"; return ;;
                -n | --processes) :; return ;;
                --redis) :; return ;;
                --restart) _muster_offer "always on-failure never"; return ;;
            esac ;;
        check)
            case $before in
                -c | --config) _muster_offer_files; return ;;
            esac ;;
        logs)
            case $before in
                -n | --lines) :; return ;;
            esac ;;
        events)
            case $before in
                -n | --lines) :; return ;;
            esac ;;
        sweep)
            case $before in
                -c | --config) _muster_offer_files; return ;;
                --redis) :; return ;;
                --registry) _muster_offer "rq sidekiq"; return ;;
                --prefix) :; return ;;
            esac ;;
        import)
            case $before in
                -o | --output) _muster_offer_files; return ;;
            esac ;;
    esac
    case $verb in
        '')
            case $word in
                -*) _muster_offer "-h --help -V --version -s --socket" ;;
                *) _muster_offer "run check status start stop restart roll scale quiet resume reload signal why logs events health workers fleet sweep shutdown import version" ;;
            esac ;;
        run)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket -c --config --registry -n --processes --redis --restart" ;;
            esac ;;
        check)
            case $word:$place in
                -*) _muster_offer "-h --help -c --config --print --connect" ;;
            esac ;;
        status)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --watch --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        start)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --no-wait --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        stop)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --no-wait --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        restart)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --no-wait --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        roll)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --no-wait --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        scale)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --no-wait --json" ;;
                *) _muster_offer "$(_muster_names program | sed 's/$/=/')"; compopt -o nospace ;;
            esac ;;
        quiet)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        resume)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        reload)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --dry-run --no-wait --json" ;;
            esac ;;
        signal)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --json" ;;
                *:0) _muster_offer "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP TSTP WINCH" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        why)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --json" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        logs)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket -f --follow -n --lines --stderr" ;;
                *) _muster_offer "all $(_muster_names 'id|program|group')" ;;
            esac ;;
        events)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket -f --follow -n --lines --json" ;;
            esac ;;
        health)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --live" ;;
            esac ;;
        workers)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --stale --json" ;;
            esac ;;
        fleet)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket --json" ;;
            esac ;;
        sweep)
            case $word:$place in
                -*) _muster_offer "-h --help -c --config --redis --registry --prefix --apply --wait --json" ;;
            esac ;;
        shutdown)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket" ;;
            esac ;;
        import)
            case $word:$place in
                -*) _muster_offer "-h --help -o --output" ;;
                *:0) _muster_offer_files ;;
            esac ;;
        version)
            case $word:$place in
                -*) _muster_offer "-h --help -s --socket" ;;
            esac ;;
    esac
}

complete -F _muster muster
