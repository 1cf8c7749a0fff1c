// `graft-bench`: graft's own paths one by one, each beside the plain way to do the same.

import GraftExecution

/// `graft-bench [WORD…] [--photo FILE.jpg] [--quick]`: measures the paths whose names contain a word.
@main
struct GraftBench {
    static func main() throws {
        var words: [String] = []
        var photo: String?
        var seconds = 1.0
        var arguments = CommandLine.arguments.dropFirst()
        while let argument = arguments.popFirst() {
            switch argument {
            case "--photo": photo = arguments.popFirst()
            case "--quick": seconds = 0.1
            default: words.append(argument)
            }
        }
        let bench = Bench(words: words, seconds: seconds)
        print("\(Threads.usable) threads, \(seconds) s each")
        try benchDigest(bench)
        try benchHeader(bench)
        try benchConversion(bench)
        try benchPictures(bench, photo: photo)
        try benchConvolution(bench)
        try benchHeads(bench)
    }
}
