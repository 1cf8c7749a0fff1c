// What is wrong with JSON, in words: Swift's own description of a decoding error is for programmers.

/// The cause of a failed decoding for a message: `` `images.3.id` is missing ``.
///
/// Errors of other kinds are described as they describe themselves.
package func reason(ofDecoding error: any Error) -> String {
    guard let error = error as? DecodingError else {
        return (error as? any Diagnostic)?.message ?? "\(error)"
    }
    func place(_ path: [any CodingKey], _ key: (any CodingKey)? = nil) -> String {
        let keys = (path + [key].compactMap(\.self)).map {
            $0.intValue.map(String.init) ?? $0.stringValue
        }
        return keys.isEmpty ? "the top level" : "`\(keys.joined(separator: "."))`"
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(place(context.codingPath, key)) is missing"
    case .valueNotFound(let type, let context):
        return "\(place(context.codingPath)) is null, expected \(name(of: type))"
    case .typeMismatch(let type, let context):
        return "\(place(context.codingPath)) is not \(name(of: type))"
    case .dataCorrupted(let context):
        return context.codingPath.isEmpty
            ? "it is not valid JSON" : "\(place(context.codingPath)) has an invalid value"
    @unknown default: return "it cannot be decoded"
    }
}

/// A Swift type as JSON calls it.
private func name(of type: any Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is any BinaryInteger.Type: "an integer"
    case is any BinaryFloatingPoint.Type: "a number"
    case is any Collection.Type: "\(type)".hasPrefix("Array") ? "a list" : "an object"
    default: "an object"
    }
}
