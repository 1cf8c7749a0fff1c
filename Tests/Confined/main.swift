// A parser that has been taken over: it is confined as parsers are, and tries what its argument says.
//
// Prints the Confinement's bits, and then what became of the attempt: `done`, or the number of the error.

import Foundation
import GraftSystem

func report(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}

/// What `attempt` returns, a system call's status or a descriptor, as a word.
func outcome(_ attempt: () -> Int) -> String {
    errno = 0
    return attempt() >= 0 ? "done" : String(errno)
}

let arguments = CommandLine.arguments
guard arguments.count == 3 else { exit(64) }
let (action, path) = (arguments[1], arguments[2])
// Open before the door closes, as a careless parent might have left it.
let leaked = open("/dev/null", O_WRONLY)
let parent = getppid()
let held = Confinement.enter(seconds: 1, bytes: 4 << 30)
report(String(held.rawValue))
switch action {
case "nothing": report("done")
case "read": report(outcome { Int(open("/etc/passwd", O_RDONLY)) })
case "create": report(outcome { Int(open(path, O_WRONLY | O_CREAT, 0o600)) })
case "remove": report(outcome { Int(unlink(path)) })
case "leaked": report(outcome { write(leaked, "x", 1) })
case "network": report(outcome { Int(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)) })
case "neighbour": report(outcome { Int(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)) })
case "signal": report(outcome { Int(kill(parent, 0)) })
case "program":
    var words: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/true"), nil]
    report(outcome { Int(execv("/bin/true", &words)) })
case "thread":
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, { _ in nil }, nil)
    report(status == 0 ? "done" : String(status))
case "memory":
    let pages = mmap(nil, 10 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    report(pages == MAP_FAILED ? String(errno) : "done")
case "spin":
    var count: UInt64 = 0
    while true {
        count = count &* 31 &+ 7
        if count == 0 { report("done") }
    }
default: exit(64)
}
