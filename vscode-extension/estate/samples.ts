/** Files to begin with. */

export const samplePolicy = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata:
  name: eu-only
spec:
  rules:
    - name: in-the-eu
      when: request.dataClass == "restricted"
      require: offer.jurisdiction == "EU"
      message: restricted data stays in the EU
`;

export const sampleInstance = `apiVersion: landfall.dev/v1
kind: Instance
metadata:
  name: first
spec:
  image: tiny
  vcpus: 1
  memoryGiB: 0.25
  dataClass: internal
`;
