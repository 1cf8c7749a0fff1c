// How average precision of boxes reads on a terminal.

import Graft
import GraftTraining

extension Report {
    /// How well boxes were found: class by class, and by size.
    static func boxes(_ found: BoxMetrics) -> String {
        func number(_ value: Double?) -> String { value.map { decimals($0, 4) } ?? "–" }
        var classes = Table(
            ["class", "boxes", "found", "AP", "AP50", "VOC 2007", "VOC 2010"],
            numeric: [1, 2, 3, 4, 5, 6])
        for row in found.perClass where row.truths + row.detections > 0 {
            classes.add([
                row.name, "\(row.truths)", "\(row.detections)", number(row.ap),
                number(row.ap50), number(row.voc07), number(row.voc10),
            ])
        }
        var means = Table(["", "all", "small", "medium", "large"], numeric: [1, 2, 3, 4])
        func add(_ name: String, _ values: Double?...) {
            let cells = values.map { number($0) }
            means.add([name] + cells + [String](repeating: "", count: 4 - cells.count))
        }
        add("AP", found.ap, found.apSmall, found.apMedium, found.apLarge)
        add("AP50", found.ap50)
        add("AP75", found.ap75)
        add("AR, 1 box", found.ar1)
        add("AR, 10 boxes", found.ar10)
        add("AR, 100 boxes", found.ar100, found.arSmall, found.arMedium, found.arLarge)
        add("VOC 2007", found.voc07)
        add("VOC 2010", found.voc10)
        return "\(classes.text)\n\n\(means.text)"
    }
}
