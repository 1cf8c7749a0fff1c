// What conformance scripts drive that is no command of graft's: `graft-harness AREA JOB ARGUMENTS…`.

import Foundation
import GraftFormats
import GraftTensors

let arguments = Array(CommandLine.arguments.dropFirst())
do {
    switch arguments.first {
    case "onnx": try ONNXJobs.run(Array(arguments.dropFirst()))
    case "parquet": try ParquetJobs.run(Array(arguments.dropFirst()))
    case "tasks": try TaskJobs.run(Array(arguments.dropFirst()))
    default: throw Misuse(arguments: arguments)
    }
} catch let error as any Diagnostic {
    FileHandle.standardError.write(Data("error: \(error.description)\n".utf8))
    exit(1)
}

/// A job that is not known.
struct Misuse: Diagnostic {
    let arguments: [String]
    var message: String { "unknown job `\(arguments.joined(separator: " "))`" }
}
