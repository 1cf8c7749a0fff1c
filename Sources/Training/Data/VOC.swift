// Pascal VOC's annotations: an XML file for each photo.

import GraftImages
import GraftTensors

/// Reads `Annotations/*.xml` and finds the photos in `JPEGImages/`.
enum VOC {
    static func read(_ path: String) throws -> AnnotatedPhotos {
        var result = AnnotatedPhotos()
        let names = try PhotoFolder.entries(of: path + "/Annotations").filter {
            $0.hasSuffix(".xml")
        }
        guard !names.isEmpty else {
            throw AnnotationError.malformed(
                path + "/Annotations", format: "Pascal VOC",
                reason: "expected `.xml` files, found none")
        }
        for name in names {
            let file = path + "/Annotations/" + name
            let text = try Storage(mapping: file).withBytes { String(decoding: $0, as: UTF8.self) }
            func malformed(_ reason: String) -> AnnotationError {
                .malformed(file, format: "Pascal VOC", reason: reason)
            }
            let root = XMLText(text[...])
            guard let annotation = root.first("annotation") else {
                throw malformed("expected an `annotation`")
            }
            let photoName = annotation.first("filename")?.text ?? ""
            // Some programs leave the ending out of `filename`; the name of the XML file helps then.
            let stem = name.dropLast(4)
            let photoPath = [photoName, "\(stem).jpg", "\(stem).png", "\(stem).jpeg"].lazy
                .filter { !$0.isEmpty }.map { path + "/JPEGImages/" + $0 }
                .first(where: PhotoFolder.isFile)
            guard let photoPath else {
                throw malformed("its photo `\(photoName)` is not in JPEGImages")
            }
            var photo = AnnotatedPhotos.Photo(
                path: photoPath, name: String(photoPath.dropFirst(path.count + 1)))
            for (index, object) in annotation.all("object").enumerated() {
                let place = "object \(index + 1) of `\(file)`"
                guard let label = object.first("name")?.text, !label.isEmpty,
                    let box = object.first("bndbox")
                else { throw malformed("object \(index + 1) has no `name` and `bndbox`") }
                let sides = ["xmin", "ymin", "xmax", "ymax"].compactMap {
                    box.first($0).flatMap { Double($0.text) }
                }
                guard sides.count == 4 else {
                    throw malformed("object \(index + 1) has no box of 4 numbers")
                }
                // The first pixel is 1, and the last one belongs to the box. A box without width
                // is a mistake all the same.
                guard sides[2] > sides[0], sides[3] > sides[1] else {
                    result.remarks.append("\(place): a box of `\(label)` covers nothing")
                    continue
                }
                result.add(
                    AnnotatedPhotos.Thing(
                        label: label,
                        box: Box(
                            left: sides[0] - 1, top: sides[1] - 1, right: sides[2],
                            bottom: sides[3]),
                        isDifficult: object.first("difficult")?.text == "1"), to: &photo,
                    place: place)
            }
            result.photos.append(photo)
        }
        return result
    }
}

/// Elements by name in XML that has no attributes worth reading; nothing is expanded or fetched.
struct XMLText {
    private let inside: Substring

    init(_ text: Substring) { inside = text }

    /// The text inside, entities resolved, without spaces around.
    var text: String {
        var result = inside.trimmed
        for (entity, character) in [
            ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&"),
        ] {
            result = result.split(separator: entity, omittingEmptySubsequences: false).joined(
                separator: character)
        }
        return result
    }

    func first(_ name: String) -> XMLText? { elements(name, limit: 1).first }
    func all(_ name: String) -> [XMLText] { elements(name, limit: .max) }

    /// The elements of a name at any depth that are not inside one of the same name.
    private func elements(_ name: String, limit: Int) -> [XMLText] {
        var found: [XMLText] = []
        var rest = inside
        while found.count < limit, let open = rest.firstRange(of: "<" + name) {
            let after = rest[open.upperBound...]
            guard let next = after.first else { break }
            guard next == ">" || next == "/" || next.isWhitespace else {
                rest = after
                continue
            }
            // No element ends any more: looking again from each start would take for ever.
            guard let end = after.firstIndex(of: ">") else { break }
            let body = after[after.index(after: end)...]
            if after[..<end].hasSuffix("/") {
                found.append(XMLText(body.prefix(0)))
                rest = body
                continue
            }
            guard let close = body.firstRange(of: "</" + name + ">") else { break }
            found.append(XMLText(body[..<close.lowerBound]))
            rest = body[close.upperBound...]
        }
        return found
    }
}
