/**
 * Where a region's machines stand, in the terms residency rules use. `EU` = a member state of the European
 * Union (so not Switzerland, Norway or the United Kingdom); US government regions are `US`; the others are
 * ISO 3166 country codes. From the providers' public lists of regions, which give the country of each:
 * https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html,
 * https://learn.microsoft.com/azure/reliability/regions-list, https://cloud.google.com/about/locations.
 * A region that is not listed has no known jurisdiction, and a rule that reads it fails closed.
 */
const REGIONS: Record<string, Record<string, string>> = {
  aws: {
    EU: 'eu-central-1 eu-west-1 eu-west-3 eu-north-1 eu-south-1 eu-south-2 eusc-de-east-1',
    US: 'us-east-1 us-east-2 us-west-1 us-west-2 us-gov-east-1 us-gov-west-1',
    UK: 'eu-west-2',
    CH: 'eu-central-2',
    CA: 'ca-central-1 ca-west-1',
    MX: 'mx-central-1',
    BR: 'sa-east-1',
    JP: 'ap-northeast-1 ap-northeast-3',
    KR: 'ap-northeast-2',
    SG: 'ap-southeast-1',
    AU: 'ap-southeast-2 ap-southeast-4',
    ID: 'ap-southeast-3',
    MY: 'ap-southeast-5',
    NZ: 'ap-southeast-6',
    TH: 'ap-southeast-7',
    TW: 'ap-east-2',
    HK: 'ap-east-1',
    IN: 'ap-south-1 ap-south-2',
    CN: 'cn-north-1 cn-northwest-1',
    AE: 'me-central-1',
    BH: 'me-south-1',
    IL: 'il-central-1',
    ZA: 'af-south-1',
  },
  azure: {
    EU: 'northeurope westeurope francecentral francesouth germanywestcentral germanynorth germanycentral germanynortheast swedencentral swedensouth polandcentral italynorth spaincentral austriaeast belgiumcentral denmarkeast finlandcentral greececentral',
    US: 'eastus eastus2 eastus3 centralus northcentralus southcentralus westcentralus westus westus2 westus3 usgovvirginia usgovarizona usgovtexas usgoviowa usdodcentral usdodeast',
    UK: 'uksouth ukwest',
    CH: 'switzerlandnorth switzerlandwest',
    NO: 'norwayeast norwaywest',
    CA: 'canadacentral canadaeast',
    MX: 'mexicocentral',
    BR: 'brazilsouth brazilsoutheast',
    CL: 'chilecentral',
    JP: 'japaneast japanwest',
    KR: 'koreacentral koreasouth',
    SG: 'southeastasia',
    HK: 'eastasia',
    AU: 'australiaeast australiasoutheast australiacentral australiacentral2',
    NZ: 'newzealandnorth',
    ID: 'indonesiacentral',
    MY: 'malaysiawest',
    TW: 'taiwannorth taiwannorthwest',
    IN: 'centralindia southindia westindia jioindiawest jioindiacentral',
    CN: 'chinaeast chinaeast2 chinaeast3 chinanorth chinanorth2 chinanorth3',
    AE: 'uaenorth uaecentral',
    QA: 'qatarcentral',
    IL: 'israelcentral',
    ZA: 'southafricanorth southafricawest',
  },
  gcp: {
    EU: 'europe-west1 europe-west3 europe-west4 europe-west8 europe-west9 europe-west10 europe-west12 europe-north1 europe-north2 europe-central2 europe-southwest1',
    US: 'us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4',
    UK: 'europe-west2',
    CH: 'europe-west6',
    CA: 'northamerica-northeast1 northamerica-northeast2',
    MX: 'northamerica-south1',
    BR: 'southamerica-east1',
    CL: 'southamerica-west1',
    JP: 'asia-northeast1 asia-northeast2',
    KR: 'asia-northeast3',
    SG: 'asia-southeast1',
    ID: 'asia-southeast2',
    TH: 'asia-southeast3',
    TW: 'asia-east1',
    HK: 'asia-east2',
    IN: 'asia-south1 asia-south2',
    AU: 'australia-southeast1 australia-southeast2',
    QA: 'me-central1',
    SA: 'me-central2',
    IL: 'me-west1',
    ZA: 'africa-south1',
  },
};

const LOOKUP = new Map<string, string>();
for (const [provider, jurisdictions] of Object.entries(REGIONS))
  for (const [jurisdiction, regions] of Object.entries(jurisdictions))
    for (const region of regions.split(' ')) LOOKUP.set(`${provider}/${region}`, jurisdiction);

/** Jurisdiction of a cloud's region (`EU`, `US`, `UK`, `CH`, `CA`, `JP`, …), or null when it is not known. */
export function jurisdictionOf(provider: string, region: string): string | null {
  return LOOKUP.get(`${provider}/${region}`) ?? null;
}
