// What libFuzzer calls: one input for the parser that `GRAFT_FUZZ_TARGET` names.

import Foundation

private let parser: Parser = {
    let name = ProcessInfo.processInfo.environment["GRAFT_FUZZ_TARGET"] ?? ""
    guard let parser = Parser.named(name) else {
        print(Parser.all.map(\.name).joined(separator: "\n"))
        exit(64)
    }
    return parser
}()

private let bench: Workbench = {
    do { return try Workbench() } catch { fatalError("no folder for the inputs: \(error)") }
}()

/// Before the first input.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _: UnsafeMutablePointer<CInt>, _: UnsafeMutablePointer<UnsafeMutableRawPointer>
) -> CInt {
    _ = parser.name
    // Asked for the first inputs of a parser, and not to run it.
    if ProcessInfo.processInfo.environment["GRAFT_FUZZ_SEEDS"] != nil {
        do { print(try Corpus.seeds(parser).joined(separator: "\n")) } catch { exit(1) }
        exit(0)
    }
    return 0
}

/// One input. What it throws has to be explained; libFuzzer notices what it does not survive.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: bytes, count: count))
    if let error = parser.unexplained(input, bench) {
        fatalError("an error that explains nothing: \(type(of: error)): \(error)")
    }
    return 0
}
