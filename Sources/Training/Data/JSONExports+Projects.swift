// JSON of whole projects, which lists images in one place and shapes in another: VIA 3 and VoTT.

import GraftFormats
import GraftImages
import GraftTensors

extension JSONSet {
    /// VIA 3: `metadata` holds shapes of a view, a `view` lists files, and `attribute` names options.
    mutating func readVIA3(_ root: JSONObject) {
        var names: [String: String] = [:]
        for member in root["file"]?.object?.members ?? [] {
            names[member.key] = member.value.object?["fname"]?.string
        }
        var files: [String: String] = [:]
        for member in root["view"]?.object?.members ?? [] {
            let list = member.value.object?["fid_list"]?.list ?? []
            // A view of several files compares them: whose shape it is would be a guess.
            if list.count == 1, let name = list[0].name.flatMap({ names[$0] }) {
                files[member.key] = name
                let place = AnnotationPlace(file: path, line: member.value.object?.line)
                _ = entry(name, at: place)
            }
        }
        let options = Self.options(root["attribute"]?.object)
        for member in root["metadata"]?.object?.members ?? [] {
            let place = AnnotationPlace(
                file: path, line: member.value.object?.line, entry: member.key)
            guard let shape = member.value.object, let view = shape["vid"]?.name else {
                leaveOut(.malformed, place, "expected `vid` and `xy`")
                continue
            }
            guard let name = files[view] else {
                leaveOut(.unknownImage, place, "view `\(view)` is not of one file")
                continue
            }
            guard let label = Self.label(shape["av"]?.object, options: options) else {
                leaveOut(.noLabel, place, "")
                continue
            }
            var annotation = Annotation(label: label, place: place)
            let numbers = shape["xy"]?.numbers ?? []
            guard Self.readVIA3(shape: numbers, into: &annotation) else {
                let kind = numbers.first.map { "shape \($0)" } ?? "a segment of time"
                leaveOut(.unsupported, place, kind)
                continue
            }
            add(annotation, to: entry(name, at: place))
        }
    }

    /// The names of the values of each attribute, by its number, and what the attribute is called.
    private typealias Options = [String: (title: String, names: [String: String])]

    private static func options(_ attributes: JSONObject?) -> Options {
        var found: Options = [:]
        for member in attributes?.members ?? [] {
            let title = member.value.object?["aname"]?.string ?? member.key
            var names: [String: String] = [:]
            for option in member.value.object?["options"]?.object?.members ?? [] {
                names[option.key] = option.value.name
            }
            found[member.key] = (title, names)
        }
        return found
    }

    /// The class among the attributes of a shape: the one of a usual name, or the only one.
    private static func label(_ values: JSONObject?, options: Options) -> String? {
        let usual = ["label", "class", "name", "type", "category", "object"]
        let members = values?.members ?? []
        let chosen =
            members.first { usual.contains(options[$0.key]?.title.lowercased() ?? "") }
            ?? (members.count == 1 ? members.first : nil)
        guard let chosen, let value = chosen.value.name, !value.isEmpty else { return nil }
        return options[chosen.key]?.names[value] ?? value
    }

    /// Adds a shape of VIA 3, its kind first; false if it is none that graft reads.
    private static func readVIA3(shape: [Double], into annotation: inout Annotation) -> Bool {
        guard let kind = shape.first else { return false }
        let sides = Array(shape.dropFirst())
        switch (kind, sides.count) {
        case (1, 2): annotation.keypoints = [.init(point: .init(x: sides[0], y: sides[1]))]
        case (2, 4):
            annotation.box = Box(
                left: sides[0], top: sides[1], right: sides[0] + sides[2],
                bottom: sides[1] + sides[3])
        case (3, 3), (4, 4):
            annotation.polygons = [
                Annotation.ellipse(
                    center: .init(x: sides[0], y: sides[1]), rx: sides[2],
                    ry: sides[sides.count - 1])
            ]
        case (7, 6...) where sides.count % 2 == 0:
            annotation.polygons = [
                stride(from: 0, to: sides.count, by: 2).map {
                    .init(x: sides[$0], y: sides[$0 + 1])
                }
            ]
        default: return false
        }
        return true
    }

    /// VoTT: assets with their regions, each of one or more tags.
    mutating func readVoTT(_ tree: JSONTree) {
        for member in tree.object?["assets"]?.object?.members ?? [] {
            let place = AnnotationPlace(
                file: path, line: member.value.object?.line, entry: member.key)
            guard let asset = member.value.object?["asset"]?.object,
                let name = asset["name"]?.string
            else {
                leaveOut(.malformed, place, "expected `asset` and `regions`")
                continue
            }
            let entry = entry(name, at: place, size: asset["size"]?.object?.size("width", "height"))
            for region in member.value.object?["regions"]?.list ?? [] {
                let place = AnnotationPlace(
                    file: path, line: region.object?.line, entry: member.key)
                let kind = region.object?["type"]?.string ?? "none"
                let points = (region.object?["points"]?.list ?? []).compactMap {
                    $0.object?.numbers("x", "y").map { Annotation.Point(x: $0[0], y: $0[1]) }
                }
                let sides = region.object?["boundingBox"]?.object?
                    .numbers("left", "top", "width", "height")
                let tags = (region.object?["tags"]?.list ?? []).compactMap(\.name)
                if tags.isEmpty { leaveOut(.noLabel, place, "`\(kind)`") }
                for tag in tags {
                    var annotation = Annotation(label: tag, place: place)
                    switch kind {
                    case "POLYGON" where points.count >= 3: annotation.polygons = [points]
                    case "POINT" where points.count == 1:
                        annotation.keypoints = points.map { .init(point: $0) }
                    case "RECTANGLE" where sides != nil, "SQUARE" where sides != nil:
                        annotation.box = sides.map {
                            Box(
                                left: $0[0], top: $0[1], right: $0[0] + $0[2], bottom: $0[1] + $0[3]
                            )
                        }
                    default:
                        leaveOut(.unsupported, place, "`\(kind)` of \(points.count) points")
                        continue
                    }
                    add(annotation, to: entry)
                }
            }
        }
    }
}
